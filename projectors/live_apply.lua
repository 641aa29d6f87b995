-- Moves the checkpoint and the hashes of jobs together, or tells where the checkpoint really is.
--
-- KEYS: the checkpoint, then the hash of each job.
-- ARGV: mode, position before, position after, seconds to keep unfinished jobs, seconds to keep
-- final ones, and the jobs as JSON: for each key status, attempt, version, position, is final.
-- Modes: 'apply' needs a checkpoint at or after the position before, and never goes back;
-- 'fill' writes all hashes and leaves the checkpoint alone; 'begin' only sets the checkpoint.
-- Answers with the checkpoint, or -1 if there is none.

local mode = ARGV[1]
local standing = tonumber(redis.call('GET', KEYS[1]) or -1)

if mode == 'apply' and standing < tonumber(ARGV[2]) then
    return standing
end

local jobs = cjson.decode(ARGV[6])
for number, job in ipairs(jobs) do
    local key = KEYS[number + 1]
    local status, attempt, version, position, is_final = unpack(job)
    local known = redis.call('HMGET', key, 'position', 'attempt')
    if mode == 'fill' or not known[1] or tonumber(known[1]) < position then
        redis.call('HSET', key, 'status', status, 'attempt', attempt,
                   'version', version, 'position', string.format('%d', position))
        if known[2] and (status ~= 'running' or tonumber(known[2]) ~= attempt) then
            redis.call('HDEL', key, 'percent', 'message')
        end
        redis.call('EXPIRE', key, is_final and ARGV[5] or ARGV[4])
    end
end

if mode == 'begin' or (mode == 'apply' and standing < tonumber(ARGV[3])) then
    redis.call('SET', KEYS[1], ARGV[3])
    standing = tonumber(ARGV[3])
end
return standing
