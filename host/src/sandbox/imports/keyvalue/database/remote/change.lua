-- Changes a bucket, all that is asked for or nothing. Nothing is written before all of it is known to fit,
-- because what a script has written stays written.
--
-- KEYS: a hash of the values by key; a sorted set of the keys by their numbers, which are given once, in
-- the order in which keys are made; a hash of the totals.
-- ARGV: what is to be done, the quota in bytes, the most keys, and what it is to be done with.
-- Gives a number, and with it what came of it.

local DONE, FULL, TOO_MANY, NOT_A_NUMBER, OVERFLOW, CHANGED = 0, 1, 2, 3, 4, 5

local entries, order, totals = KEYS[1], KEYS[2], KEYS[3]
local quota, most = tonumber(ARGV[2]), tonumber(ARGV[3])
local known = redis.call('HMGET', totals, 'bytes', 'next')
local bytes, next = tonumber(known[1] or 0), tonumber(known[2] or 0)
local keys = redis.call('HLEN', entries)

-- The length of a value, if there is one.
local function length(key)
  return redis.call('HEXISTS', entries, key) == 1 and redis.call('HSTRLEN', entries, key)
end

-- What fits so far.
local fresh, lengths, sets = {}, {}, {}

-- Whoever has more than they may, since the operator lowered it, may still have less.
local function plan(key, value)
  local before = lengths[key]
  if before == nil then before = length(key) end
  local after = bytes - (before and #key + before or 0) + #key + #value
  if after > quota and after > bytes then return FULL end
  if not before then
    if keys >= most then return TOO_MANY end
    keys = keys + 1
    fresh[#fresh + 1] = key
  end
  lengths[key], bytes = #value, after
  sets[#sets + 1] = { key, value }
  return DONE
end

local function write()
  for _, key in ipairs(fresh) do
    redis.call('ZADD', order, next, key)
    next = next + 1
  end
  for _, set in ipairs(sets) do
    redis.call('HSET', entries, set[1], set[2])
  end
  redis.call('HSET', totals, 'bytes', bytes, 'next', next)
end

-- The sum of two numbers in decimal digits: there are no whole numbers of 64 bits here.
local function sum(one, other)
  local digits, carry = {}, 0
  for place = 0, math.max(#one, #other) - 1 do
    local both = carry
    if place < #one then both = both + one:byte(#one - place) - 48 end
    if place < #other then both = both + other:byte(#other - place) - 48 end
    table.insert(digits, 1, both % 10)
    carry = math.floor(both / 10)
  end
  if carry > 0 then table.insert(digits, 1, carry) end
  return table.concat(digits)
end

local LARGEST = '18446744073709551615'

local function is_too_large(number)
  return #number > #LARGEST or (#number == #LARGEST and number > LARGEST)
end

local actions = {}

function actions.set()
  for at = 4, #ARGV, 2 do
    local planned = plan(ARGV[at], ARGV[at + 1])
    if planned ~= DONE then return { planned, false } end
  end
  write()
  return { DONE, false }
end

function actions.delete()
  for at = 4, #ARGV do
    local key = ARGV[at]
    local before = length(key)
    if before then
      redis.call('HDEL', entries, key)
      redis.call('ZREM', order, key)
      bytes = math.max(bytes - #key - before, 0)
    end
  end
  write()
  return { DONE, false }
end

function actions.add()
  local key = ARGV[4]
  local before = (redis.call('HGET', entries, key) or '0'):match('^%+?0*(%d+)$')
  if not before or is_too_large(before) then return { NOT_A_NUMBER, false } end
  local after = sum(before, ARGV[5])
  if is_too_large(after) then return { OVERFLOW, false } end
  local planned = plan(key, after)
  if planned ~= DONE then return { planned, false } end
  write()
  return { DONE, after }
end

actions['add-signed'] = function()
  local key = ARGV[4]
  local before = redis.call('HGET', entries, key)
  -- Only the server itself has whole numbers of 64 bits, so it adds, and what is too much is taken back.
  local added = redis.pcall('HINCRBY', entries, key, ARGV[5])
  if type(added) == 'table' and added.err then
    local is_overflow = added.err:find('overflow', 1, true)
    return { is_overflow and OVERFLOW or NOT_A_NUMBER, false }
  end
  local after = redis.call('HGET', entries, key)
  if before then
    redis.call('HSET', entries, key, before)
  else
    redis.call('HDEL', entries, key)
  end
  local planned = plan(key, after)
  if planned ~= DONE then return { planned, false } end
  write()
  return { DONE, after }
end

function actions.swap()
  local key = ARGV[4]
  if redis.call('HGET', entries, key) ~= (ARGV[6] or false) then return { CHANGED, false } end
  local planned = plan(key, ARGV[5])
  if planned ~= DONE then return { planned, false } end
  write()
  return { DONE, false }
end

return actions[ARGV[1]]()
