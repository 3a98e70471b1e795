-- Ends attempts that their workers hold: results, counters, cache, batch progress and leases in one.
-- KEYS[1] prefix
-- ARGV: clock, ttl, whether late results count, dead_max, then endings, each of 16:
--   kind (s single, c item of a chunk), lane, entry, id, end (ok bad retry throttle return cancel
--   expire, or empty for a chunk with nothing left to run), generation, envelope, tail (history for what goes on), delay ms, run µs, bucket, program,
--   fingerprint|ttl or '', home lane, tokens of prompts and of completions and cost (millionths) as p|c|m or '',
--   the history before this attempt
-- or items of a chunk that ended alike (ok or bad, in their first attempt): g, lane, entry, batch, chunk,
--   end, generation, program, how many, and of each 6: index, tail, run µs, bucket, fingerprint|ttl, p|c|m
-- or all items of a full chunk (ok or bad, in their first attempt): w, lane, entry, batch, chunk, program, the
--   pack of their documents, their time in ms, 1 if it is to be taken out, indexes that are ok and bad by
--   commas, run µs in all, least and most, buckets as bucket:n by commas, p|c|m or '', how many are cached,
--   and of each 2: index, fingerprint|ttl
-- Returns per ending {word, state}, where word is kept, late or refused, or all for all that are alike;
-- and how many chunks can be packed.
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

-- Items of a chunk less; the chunk's entry goes with the last.
local function leave_chunk(lane, entry, batch, n)
  local at = lane .. ' ' .. entry
  local rest = left[at] or { lane = lane, entry = entry, batch = batch, n = 0 }
  rest.n = rest.n + n
  left[at] = rest
end

local function release(e)
  if e.kind == 's' then
    local list = acked[e.lane] or {}
    acked[e.lane] = list
    list[#list + 1] = e.entry
  else
    leave_chunk(e.lane, e.entry, e.batch, 1)
  end
end

local function remember(program, id, cache)
  local fingerprint, age = cache:match('^(.+)|(%d+)$')
  if not fingerprint then return end
  call('SET', P .. 'c:' .. fingerprint, id, 'PX', age)
  call('ZADD', P .. 'ci:' .. program, now + age, fingerprint)
  call('SADD', P .. 'cp', program)
end

-- Counts what an item used.
local function count_used(batch, used)
  local prompt, completion, cost = used:match('^(%d+)|(%d+)|(%d+)$')
  if not prompt then return end
  in_batch(batch, 'prompt_tokens', tonumber(prompt))
  in_batch(batch, 'completion_tokens', tonumber(completion))
  in_batch(batch, 'cost', tonumber(cost))
end

local function bury(...)
  call('ZADD', P .. 'dead', ...)
  deaths = true
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
      ended[#ended + 1] = e.id
      told[#told + 1] = e.id
      tell_end(e.id, e.envelope)
    end
  end
  count_used(e.batch, e.used)
  bump(e.program, COUNT[state], 1)
  if e.fate == 'ok' or e.fate == 'bad' then
    local micros = tonumber(e.micros)
    bump_time(e.program, micros, micros, micros, { [e.bucket] = 1 })
  end
  if e.fate == 'ok' then remember(e.program, e.id, e.cache) end
  if e.fate == 'bad' then bury(now, e.id) end
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
      leave_chunk(lane, entry, e.batch, 1)
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

local function finish(e)
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

-- Marks items that ended alike as ended: all of them, or none if one has ended before.
local function mark(g)
  local key, from = P .. 'b:' .. g.batch .. ':done', g.chunk * CHUNK / 8
  local bytes = { call('GETRANGE', key, from, from + CHUNK / 8 - 1):byte(1, -1) }
  for n = #bytes + 1, CHUNK / 8 do bytes[n] = 0 end
  for i = g.from, g.to, 6 do
    local place = ARGV[i] % CHUNK
    local n, bit = math.floor(place / 8) + 1, 2 ^ (7 - place % 8)
    if math.floor(bytes[n] / bit) % 2 == 1 then return false end
    bytes[n] = bytes[n] + bit
  end
  call('SETRANGE', key, from, string.char(unpack(bytes)))
  return true
end

-- Ends items that ended alike with few commands; false, if each has to be looked at.
local function finish_alike(g)
  if cancels or not holds_chunk(g.lane, g.entry) or not mark(g) then return false end
  local state, n, micros, low, high, buckets = STATE[g.fate], 0, 0, math.huge, -1, {}
  local head, documents, indexes, dead = document(state, g.generation, now, '', '', ''), {}, {}, {}
  for i = g.from, g.to, 6 do
    local index, tail, us, bucket, cache, used = unpack(ARGV, i, i + 5)
    n, us = n + 1, tonumber(us)
    indexes[n], documents[2 * n - 1], documents[2 * n] = index, index, head .. tail
    micros, low, high = micros + us, math.min(low, us), math.max(high, us)
    buckets[bucket] = (buckets[bucket] or 0) + 1
    if used ~= '' then count_used(g.batch, used) end
    if cache ~= '' and g.fate == 'ok' then remember(g.program, g.batch .. '-' .. index, cache) end
    if g.fate == 'bad' then dead[2 * n - 1], dead[2 * n] = now, g.batch .. '-' .. index end
  end
  call('HSET', P .. 'b:' .. g.batch .. ':r:' .. g.chunk, unpack(documents))
  if #dead > 0 then bury(unpack(dead)) end
  in_batch(g.batch, state, n)
  touch(g.batch, g.chunk)
  live = live - n
  told[#told + 1] = g.batch .. '-' .. table.concat(indexes, ',')
  bump(g.program, COUNT[state], n)
  bump_time(g.program, micros, low, high, buckets)
  leave_chunk(g.lane, g.entry, g.batch, n)
  answers[#answers + 1] = { 'all', state }
  return true
end

local SKEW_MAX = 1000 -- ms that a worker's clock may differ for its times to be taken as they are

-- Ends all items of a chunk in one piece; refused, if each has to be looked at.
local function finish_whole(w)
  local key, from = P .. 'b:' .. w.batch, w.chunk * CHUNK / 8
  local done = call('GETRANGE', key .. ':done', from, from + CHUNK / 8 - 1)
  if cancels or done:find('[^%z]') or math.abs(now - w.at) > SKEW_MAX or not holds_chunk(w.lane, w.entry)
    or call('EXISTS', key .. ':r:' .. w.chunk) == 1 then
    answers[#answers + 1] = { 'refused', '' }
    return
  end
  call('SETRANGE', key .. ':done', from, string.rep('\255', CHUNK / 8))
  call('SET', key .. ':p:' .. w.chunk, w.pack)
  if w.takes_out == '1' then touch(w.batch, w.chunk) end
  local bad = listed(w.bad)
  local ok = CHUNK - #bad
  for _, index in ipairs(bad) do bury(now, w.batch .. '-' .. index) end
  for i = w.cached, w.last, 2 do remember(w.program, w.batch .. '-' .. ARGV[i], ARGV[i + 1]) end
  for state, n in pairs({ succeeded = ok, failed = #bad }) do
    if n > 0 then
      in_batch(w.batch, state, n)
      bump(w.program, COUNT[state], n)
    end
  end
  local buckets = {}
  for bucket, n in w.buckets:gmatch('(%d+):(%d+)') do buckets[bucket] = tonumber(n) end
  bump_time(w.program, tonumber(w.micros), tonumber(w.low), tonumber(w.high), buckets)
  count_used(w.batch, w.used)
  live = live - CHUNK
  for _, indexes in ipairs({ w.ok, w.bad }) do
    if indexes ~= '' then told[#told + 1] = w.batch .. '-' .. indexes end
  end
  leave_chunk(w.lane, w.entry, w.batch, CHUNK)
  answers[#answers + 1] = { 'kept', ok > 0 and 'succeeded' or 'failed' }
end

local function finish_each(g)
  for i = g.from, g.to, 6 do
    local e = { kind = 'c', lane = g.lane, entry = g.entry, batch = g.batch, fate = g.fate, envelope = '',
      generation = g.generation, program = g.program, before = '[]' }
    local index
    index, e.tail, e.micros, e.bucket, e.cache, e.used = unpack(ARGV, i, i + 5)
    e.id, e.index = g.batch .. '-' .. index, tonumber(index)
    finish(e)
  end
end

local i = 5
while i <= #ARGV do
  if ARGV[i] == 'g' then
    local g = { from = i + 9, to = i + 8 + 6 * ARGV[i + 8] }
    g.lane, g.entry, g.batch, g.chunk, g.fate, g.generation, g.program = unpack(ARGV, i + 1, i + 7)
    if not finish_alike(g) then finish_each(g) end
    i = g.to + 1
  elseif ARGV[i] == 'w' then
    local w = { cached = i + 17, last = i + 16 + 2 * ARGV[i + 16] }
    w.lane, w.entry, w.batch, w.chunk, w.program, w.pack, w.at, w.takes_out, w.ok, w.bad, w.micros, w.low, w.high,
      w.buckets, w.used = unpack(ARGV, i + 1, i + 15)
    finish_whole(w)
    i = w.last + 1
  else
    local e = {}
    e.kind, e.lane, e.entry, e.id, e.fate, e.generation, e.envelope, e.tail, e.delay, e.micros, e.bucket,
      e.program, e.cache, e.home, e.used, e.before = unpack(ARGV, i, i + 15)
    e.batch, e.index = item_of(e.id)
    finish(e)
    i = i + 16
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
