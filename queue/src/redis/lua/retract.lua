-- Takes a kept reply back.
-- KEYS[1] prefix   ARGV: execution, place, request
call('HDEL', P .. 'j:' .. ARGV[1], ARGV[2])
call('UNLINK', shared_reply(ARGV[3]))
