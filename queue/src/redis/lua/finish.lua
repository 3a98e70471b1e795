-- Ends attempts that their workers hold: results, counters, cache, batch progress and leases in one.
-- KEYS[1] prefix
-- ARGV: clock, ttl, whether late results count, dead_max, then per ending 16:
--   kind (s single, c item of a chunk), lane, entry, id, end (ok bad retry throttle return cancel
--   expire, or empty for a chunk with nothing left to run), generation, envelope, tail (history for what goes on), delay ms, run µs, bucket, program,
--   fingerprint|ttl or '', home lane, tokens of prompts and of completions and cost (millionths) as p|c|m or '',
--   the history before this attempt
-- Returns per ending {word, state}, where word is kept, late or refused; and how many chunks can be
-- packed.
local now, ttl, late_counts, dead_max = clock(ARGV[1]), ARGV[2], ARGV[3] == '1', ARGV[4]
local STATE = { ok = 'succeeded', bad = 'failed', cancel = 'cancelled', expire = 'expired' }
local answers, ended, acked, held_chunks, left, returned, out = {}, {}, {}, {}, {}, {}, {}
local cancels = call('SCARD', P .. 'cx') > 0
local deaths = false

local function holds_chunk(lane, entry)
  local at = lane .. ' ' .. entry
  if held_chunks[at] == nil then held_chunks[at] = holder(lane, entry) ~= nil end
  return held_chunks[at]
end

-- One item of a chunk less; the chunk's entry goes with the last.
local function leave_chunk(lane, entry, batch)
  local at = lane .. ' ' .. entry
  local rest = left[at] or { lane = lane, entry = entry, batch = batch, n = 0 }
  rest.n = rest.n + 1
  left[at] = rest
end

local function release(e)
  if e.kind == 's' then
    local list = acked[e.lane] or {}
    acked[e.lane] = list
    list[#list + 1] = e.entry
  else
    leave_chunk(e.lane, e.entry, e.batch)
  end
end

local function remember(e)
  local fingerprint, age = e.cache:match('^(.+)|(%d+)$')
  if not fingerprint then return end
  call('SET', P .. 'c:' .. fingerprint, e.id, 'PX', age)
  call('ZADD', P .. 'ci:' .. e.program, now + age, fingerprint)
  call('SADD', P .. 'cp', e.program)
end

-- Ends an execution for good.
local function conclude(e)
  local state = STATE[e.fate]
  if e.kind == 'c' then
    if not settle_item(e.batch, e.index, state, e.generation, '', e.tail, now) then return nil end
  else
    if e.batch then
      call('SETBIT', P .. 'b:' .. e.batch .. ':out', e.index, 0)
      out[#out + 1] = P .. 'e:' .. e.id
      if not settle_item(e.batch, e.index, state, e.generation, '', e.tail, now) then return nil end
    else
      out[#out + 1] = P .. 'e:' .. e.id
      call('SET', P .. 'r:' .. e.id, document(state, e.generation, now, '', e.envelope, e.tail), 'PX', ttl)
      live = live - 1
      told[#told + 1] = e.id
      tell_end(e.id, e.envelope)
    end
  end
  ended[#ended + 1] = e.id
  local prompt, completion, cost = e.used:match('^(%d+)|(%d+)|(%d+)$')
  if prompt then
    in_batch(e.batch, 'prompt_tokens', tonumber(prompt))
    in_batch(e.batch, 'completion_tokens', tonumber(completion))
    in_batch(e.batch, 'cost', tonumber(cost))
  end
  bump(e.program, COUNT[state], 1)
  if e.fate == 'ok' or e.fate == 'bad' then bump_time(e.program, tonumber(e.micros), e.bucket) end
  if e.fate == 'ok' then remember(e) end
  if e.fate == 'bad' then
    call('ZADD', P .. 'dead', now, e.id)
    deaths = true
  end
  return state
end

-- Puts an execution among those that wait for a time, or back into its lane if that is now.
local function put_off(e)
  local record = P .. 'e:' .. e.id
  if e.kind == 'c' then
    if call('GETBIT', P .. 'b:' .. e.batch .. ':done', e.index) == 1 then return nil end
    call('SETBIT', P .. 'b:' .. e.batch .. ':out', e.index, 1)
  end
  count_waiting(1, e.batch)
  if e.fate == 'retry' then bump(e.program, 're', 1) end
  if tonumber(e.delay) > 0 then
    call('HSET', record, 'l', e.home, 's', 'z', 'p', e.envelope, 'h', e.tail, 'g', e.generation)
    call('ZADD', P .. 'z', now + e.delay, e.id)
    return 'scheduled'
  end
  local entry = push(e.home, 'j', e.id, 'p', e.envelope, 'h', e.tail, 'g', e.generation)
  call('HSET', record, 'l', e.home, 's', entry)
  ring(e.home)
  return 'queued'
end

-- Gives an execution back to the head of the line; items of a chunk together, as one entry.
local function give_back(e)
  count_waiting(1, e.batch)
  if e.kind == 'c' then
    local at = e.lane .. ' ' .. e.entry
    local list = returned[at] or { batch = e.batch, chunk = math.floor(e.index / CHUNK) }
    returned[at] = list
    list[#list + 1] = e.index
  else
    local lane = lane_back(e.home:sub(1, 1), e.batch)
    local entry = push(lane, 'j', e.id, 'p', e.envelope, 'h', e.tail, 'g', e.generation)
    call('HSET', P .. 'e:' .. e.id, 'l', lane, 's', entry)
    ring(lane)
  end
  return 'queued'
end

local function go_on(e)
  if cancels and call('SREM', P .. 'cx', e.id) == 1 and e.fate ~= 'cancel' then
    e.fate, e.tail = 'cancel', bare_tail(e.before)
  end
  if STATE[e.fate] then return conclude(e) end
  if e.fate == 'return' then return give_back(e) end
  return put_off(e)
end

-- Accepts the result of a worker that lost its lease, if it held it once and no other is there.
local function late(e)
  if not late_counts or e.fate ~= 'ok' then return nil end
  local key = e.kind == 'c' and P .. 'b:' .. e.batch
  if key and call('SISMEMBER', key .. ':lost', e.lane .. '\n' .. e.entry) == 0 then return nil end
  if key and call('GETBIT', key .. ':out', e.index) == 0 then
    if generation_of(e.batch, e.index) ~= tonumber(e.generation) then return nil end
    local state = conclude(e)
    call('SREM', P .. 'cx', e.id)
    local lane, entry = place(e.batch, e.index)
    if state and lane then
      local consumer = holder(lane, entry)
      if consumer then order(consumer, e.id) else count_waiting(-1, e.batch) end
      leave_chunk(lane, entry, e.batch)
    end
    return state
  end
  local v = call('HMGET', P .. 'e:' .. e.id, 'l', 's', 'x', 'g')
  if not v[2] or (v[4] or '0') ~= e.generation then return nil end
  local was_held = key or (v[3] and v[3]:find(' ' .. e.entry .. ' ', 1, true))
  if not was_held then return nil end
  e.kind = 's' -- an item that has left its chunk ends as what is alone
  if v[2] == 'z' then
    call('ZREM', P .. 'z', e.id)
    count_waiting(-1, e.batch)
  else
    local consumer = holder(v[1], v[2])
    if consumer then order(consumer, e.id) else count_waiting(-1, e.batch) end
    drop(v[1], v[2])
  end
  call('SREM', P .. 'cx', e.id)
  return conclude(e)
end

for i = 5, #ARGV, 16 do
  local e = {}
  e.kind, e.lane, e.entry, e.id, e.fate, e.generation, e.envelope, e.tail, e.delay, e.micros, e.bucket,
    e.program, e.cache, e.home, e.used, e.before = unpack(ARGV, i, i + 15)
  e.batch, e.index = item_of(e.id)
  local holds
  if e.kind == 's' then
    local reply = redis.pcall('XACK', P .. 'l:' .. e.lane, GROUP, e.entry)
    holds = reply == 1
  else
    holds = holds_chunk(e.lane, e.entry)
  end
  if holds then
    local state = e.fate ~= 'empty' and go_on(e)
    if e.kind == 's' or state then release(e) end
    if e.fate == 'empty' then close_entry(e.batch, e.lane, e.entry) end
    answers[#answers + 1] = { state and 'kept' or 'refused', state or '' }
  else
    local state = late(e)
    answers[#answers + 1] = { state and 'late' or 'refused', state or '' }
  end
end

for lane, entries in pairs(acked) do
  call('XDEL', P .. 'l:' .. lane, unpack(entries))
  gone[lane] = true
end
for _, list in pairs(returned) do
  local v = call('HMGET', P .. 'b:' .. list.batch, 'class', 'piece')
  local lane = lane_back(v[1], list.batch)
  push_items(list.batch, list.chunk, list, lane, tonumber(v[2]) or CHUNK)
  ring(lane)
end
for _, rest in pairs(left) do leave(rest.batch, rest.lane, rest.entry, rest.n) end
if #out > 0 then call('DEL', unpack(out)) end
if #ended > 0 and call('EXISTS', P .. 'd') == 1 then call('ZREM', P .. 'd', unpack(ended)) end
if deaths then call('ZREMRANGEBYRANK', P .. 'dead', 0, -(dead_max + 1)) end
sweep(now)
flush(now, ttl)
return { answers, call('SCARD', P .. 'packs') }
