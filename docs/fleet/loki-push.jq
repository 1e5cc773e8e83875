# Lines of cgoheap events, as the body of a push to Loki (POST /loki/api/v1/push):
#   jq -nRc --arg host "$(hostname)" --arg job cgoheap -f loki-push.jq
# A stream per kind; the lines stay as they are, and their time is the event's, to the nanosecond.
[inputs | select(length > 0) | {line: ., event: fromjson}]
| group_by(.event.kind)
| {streams: map({
    stream: {job: $job, host: $host, kind: .[0].event.kind},
    values: map([
      (.event.wall[0:19] + "Z" | fromdateiso8601 | tostring) + .event.wall[20:29],
      .line
    ])
  })}
