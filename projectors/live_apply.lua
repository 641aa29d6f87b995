-- Moves the checkpoint and the hashes of jobs together, or tells where the checkpoint really is.
--
-- KEYS: the checkpoint, then the hash of each job.
-- ARGV: mode, position before, position after, seconds to keep unfinished jobs, seconds to keep
-- final ones; then for each job: status, attempt, version, position, 1 if final or 0.
-- Modes: 'apply' needs a checkpoint at or after the position before, and never goes back;
-- 'fill' writes all hashes and leaves the checkpoint alone; 'begin' only sets the checkpoint.
-- Answers with the checkpoint, or -1 if there is none.

local mode = ARGV[1]
local standing = tonumber(redis.call('GET', KEYS[1]) or -1)

if mode == 'apply' and standing < tonumber(ARGV[2]) then
    return standing
end

for number = 2, #KEYS do
    local key = KEYS[number]
    local first = 6 + (number - 2) * 5
    local status, attempt = ARGV[first], ARGV[first + 1]
    local known = redis.call('HMGET', key, 'position', 'attempt')
    local is_newer = not known[1] or tonumber(known[1]) < tonumber(ARGV[first + 3])
    if mode == 'fill' or is_newer then
        redis.call('HSET', key, 'status', status, 'attempt', attempt,
                   'version', ARGV[first + 2], 'position', ARGV[first + 3])
        if status ~= 'running' or known[2] ~= attempt then
            redis.call('HDEL', key, 'percent', 'message')
        end
        redis.call('EXPIRE', key, ARGV[first + 4] == '1' and ARGV[5] or ARGV[4])
    end
end

if mode == 'begin' or (mode == 'apply' and standing < tonumber(ARGV[3])) then
    redis.call('SET', KEYS[1], ARGV[3])
    standing = tonumber(ARGV[3])
end
return standing
