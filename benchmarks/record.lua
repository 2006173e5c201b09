-- wrk: POST one Kafka record after another, as a KafkaSource does.
local n = 0
wrk.method = "POST"
wrk.body = "2026-11-23T10:00:00,12,GET /rate/toy+story+1995=4"
wrk.headers["ce-specversion"] = "1.0"
wrk.headers["ce-type"] = "dev.knative.kafka.event"
wrk.headers["ce-source"] = "/apis/v1/namespaces/marquee/kafkasources/movielog#movielog"
wrk.headers["ce-time"] = "2026-11-23T16:42:40.294Z"
wrk.headers["ce-knativekafkapartition"] = "0"
request = function()
  n = n + 1
  wrk.headers["ce-id"] = "partition:0/offset:" .. n
  wrk.headers["ce-subject"] = "partition:0#" .. n
  wrk.headers["ce-knativekafkaoffset"] = tostring(n)
  return wrk.format()
end
