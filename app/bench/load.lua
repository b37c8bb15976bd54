-- The requests of wrk: one method and body, some paths in turn; at the end the figures as one line of JSON.
-- Arguments: method, body, paths. The key comes from the environment: arguments are there for everyone to read.

local threads, requests, turn = {}, {}, 0
-- What this thread was told; global, so that `done` can ask for it.
sentences, tokens = 0, 0

function setup(thread) threads[#threads + 1] = thread end

function init(arguments)
   local key = os.getenv("MYNAH_BENCH_KEY") or ""
   if key ~= "" then wrk.headers["Authorization"] = "Bearer " .. key end
   local body = arguments[2]
   if body == "" then
      body = nil
      response = nil -- nothing to look into, so wrk need not hand the answers over
   else
      wrk.headers["Content-Type"] = "application/json"
   end
   for place = 3, #arguments do
      requests[#requests + 1] = wrk.format(arguments[1], arguments[place], nil, body)
   end
end

function request()
   turn = turn % #requests + 1
   return requests[turn]
end

function response(status, _, body)
   if status ~= 200 then return end
   for said in body:gmatch('"tokens":(%d+)') do
      sentences, tokens = sentences + 1, tokens + tonumber(said)
   end
end

function done(summary, latency)
   local failed = summary.errors
   local said, read = 0, 0
   for _, thread in ipairs(threads) do
      said, read = said + thread:get("sentences"), read + thread:get("tokens")
   end
   io.write(string.format(
      '\n{"seconds": %.6f, "requests": %d, "refused": %d, "broken": %d, "p50_ms": %.3f, "p99_ms": %.3f, '
         .. '"sentences": %d, "tokens": %d}\n',
      summary.duration / 1e6, summary.requests, failed.status,
      failed.connect + failed.read + failed.write + failed.timeout,
      latency:percentile(50) / 1e3, latency:percentile(99) / 1e3, said, read))
end
