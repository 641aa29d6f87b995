-- Puts live progress into the hashes of jobs, unless it is of an attempt that is over.
--
-- KEYS: the hash of each job.
-- ARGV: seconds to keep a hash that has nothing but progress; then for each job: attempt, percent,
-- message.

for number, key in ipairs(KEYS) do
    local first = 2 + (number - 1) * 3
    local known = redis.call('HMGET', key, 'status', 'attempt')
    local is_known = known[1] ~= false
    if not is_known or (known[1] == 'running' and known[2] == ARGV[first]) then
        redis.call('HSET', key, 'percent', ARGV[first + 1], 'message', ARGV[first + 2])
        if not is_known then
            redis.call('EXPIRE', key, ARGV[1])
        end
    end
end
return #KEYS
