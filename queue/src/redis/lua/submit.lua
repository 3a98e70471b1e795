-- Accepts executions, each by itself.
-- KEYS[1] prefix
-- ARGV: clock, ttl, waiting_max, owner_max, idempotency ttl, then per execution 13:
--   id, lane, program, owner, envelope, due ms or '', deadline ms or '', fingerprint or '', cache ttl,
--   key or '', body digest, ended state or '', tail
-- Returns per execution {word, id, state}: word is new, known, replayed, conflict, full, owner_full, or
--   packed, whose id is that of an equal item that is to be lent first.
local now, ttl, most = clock(ARGV[1]), ARGV[2], tonumber(ARGV[3])
local owner_most, key_ttl = tonumber(ARGV[4]), ARGV[5]
local answers = {}
local counts = call('HMGET', P .. 'n', 'waiting', 'batched')
local before = (counts[1] or 0) - (counts[2] or 0) -- those of batches are bounded by themselves
local lengths = {}

local function state_of(id)
  local head = call('GETRANGE', P .. 'r:' .. id, 0, 15)
  if head ~= '' then return head:match('^%a+') end
  local at = call('HMGET', P .. 'e:' .. id, 'l', 's')
  if not at[2] then return nil end
  if at[2] == 'z' then return 'scheduled' end
  return holder(at[1], at[2]) and 'running' or 'queued'
end

local function owner_waits(lane)
  local length = lengths[lane] or call('XLEN', P .. 'l:' .. lane)
  lengths[lane] = length
  if length < owner_most then return false end
  local pending = redis.pcall('XPENDING', P .. 'l:' .. lane, GROUP)
  return length - (pending.err and 0 or pending[1]) >= owner_most
end

for i = 6, #ARGV, 13 do
  local id, lane, program, owner, envelope, due, deadline, fingerprint, max_age, key, digest, ended, tail =
    unpack(ARGV, i, i + 12)
  local word, state = 'new', nil
  local key_at = key ~= '' and P .. 'k:' .. #owner .. ':' .. owner .. key
  local known = key_at and call('GET', key_at)
  if known then
    local first, body = known:match('^(%S+) (.*)$')
    if body == digest then
      word, id, state = 'replayed', first, state_of(first) or 'succeeded'
    else
      word = 'conflict'
    end
  else
    state = call('EXISTS', P .. 'e:' .. id, P .. 'r:' .. id) > 0 and state_of(id)
    if state then
      word = 'known'
    elseif ended ~= '' then
      word, state = 'new', ended
      call('SET', P .. 'r:' .. id, document(ended, 0, now, 'd', envelope, tail), 'PX', ttl)
      tell_end(id, envelope)
      bump(program, 'dry', 1)
    elseif deadline ~= '' and tonumber(deadline) <= now then
      state = 'expired'
      live = live + 1
      settle(id, state, 0, envelope, bare_tail(), now, ttl)
      bump(program, 'ex', 1)
    else
      local hit = fingerprint ~= '' and cached(fingerprint, tonumber(max_age), now)
      local to_be_lent = table.remove(packed)
      if to_be_lent then
        word, id = 'packed', to_be_lent
      elseif hit then
        state = 'succeeded'
        call('SET', P .. 'r:' .. id, document(state, 0, now, 'c', envelope, hit), 'PX', ttl)
        bump(program, 'ok', 1)
        bump(program, 'hit', 1)
        told[#told + 1] = id
        tell_end(id, envelope)
      elseif before + waiting >= most then
        word = 'full'
      elseif owner_waits(lane) then
        word = 'owner_full'
      else
        if fingerprint ~= '' then bump(program, 'miss', 1) end
        if due ~= '' and tonumber(due) > now then
          state = 'scheduled'
          call('HSET', P .. 'e:' .. id, 'l', lane, 's', 'z', 'p', envelope)
          call('ZADD', P .. 'z', due, id)
        else
          state = 'queued'
          local entry = push(lane, 'j', id, 'p', envelope)
          call('HSET', P .. 'e:' .. id, 'l', lane, 's', entry)
          ring(lane)
          lengths[lane] = lengths[lane] + 1
        end
        if deadline ~= '' then call('ZADD', P .. 'd', deadline, id) end
        waiting, live = waiting + 1, live + 1
      end
    end
    if state and word == 'new' then
      call('XADD', P .. 'x', stamp, 'j', id, 'o', owner, 'p', program)
      if key_at then call('SET', key_at, id .. ' ' .. digest, 'PX', key_ttl) end
    end
  end
  answers[#answers + 1] = { word, id, state or '' }
end
flush(now, ttl)
return answers
