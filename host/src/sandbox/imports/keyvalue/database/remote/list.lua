-- One page of the keys of a bucket, in the order in which they were made.
--
-- KEYS: a sorted set of the keys by their numbers.
-- ARGV: the number of the first, and how many there may be.
-- Gives the keys, and the number of the next, if there is one.

local most = tonumber(ARGV[2])
local found = redis.call('ZRANGEBYSCORE', KEYS[1], ARGV[1], '+inf', 'WITHSCORES', 'LIMIT', 0, most + 1)
local keys = {}
for at = 1, math.min(#found / 2, most) do
  keys[at] = found[2 * at - 1]
end
return { keys, found[2 * most + 2] or false }
