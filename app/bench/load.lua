-- The requests of wrk: one method and body, some paths in turn; at the end the figures as one line of JSON.
-- Arguments: method, body, paths. The key comes from the environment: arguments are there for everyone to read.

local requests, turn = {}, 0

function init(arguments)
   local key = os.getenv("MYNAH_BENCH_KEY") or ""
   if key ~= "" then wrk.headers["Authorization"] = "Bearer " .. key end
   local body = arguments[2]
   if body == "" then body = nil else wrk.headers["Content-Type"] = "application/json" end
   for place = 3, #arguments do
      requests[#requests + 1] = wrk.format(arguments[1], arguments[place], nil, body)
   end
end

function request()
   turn = turn % #requests + 1
   return requests[turn]
end

function done(summary, latency)
   local failed = summary.errors
   io.write(string.format(
      '\n{"seconds": %.6f, "requests": %d, "refused": %d, "broken": %d, "p50_ms": %.3f, "p99_ms": %.3f}\n',
      summary.duration / 1e6, summary.requests, failed.status,
      failed.connect + failed.read + failed.write + failed.timeout,
      latency:percentile(50) / 1e3, latency:percentile(99) / 1e3))
end
