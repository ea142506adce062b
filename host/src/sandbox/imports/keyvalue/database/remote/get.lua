-- The values of keys, where they are there, unless they are more bytes together than may be.
--
-- KEYS: a hash of the values by key.
-- ARGV: the most bytes, and the keys.
-- Gives nothing when they are too many.

local bytes = 0
for at = 2, #ARGV do
  bytes = bytes + redis.call('HSTRLEN', KEYS[1], ARGV[at])
end
if bytes > tonumber(ARGV[1]) then return false end
local values = {}
for at = 2, #ARGV do
  values[at - 1] = redis.call('HGET', KEYS[1], ARGV[at])
end
return values
