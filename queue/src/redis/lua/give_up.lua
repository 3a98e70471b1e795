-- Ends a holder's right to make a call.
-- KEYS[1] prefix   ARGV: request, holder
end_flight(ARGV[1], ARGV[2])
