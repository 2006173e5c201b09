"""DuckDB finds served lists in the parquet files of a lake: `duckdb_trace.py LAKE QUESTIONS`, JSON out.

QUESTIONS is JSON: for each a column, its value, and a day or null.
"""

import json
import sys
import time

import duckdb

SQL = """
SELECT
    topic, "partition", "offset", ingested_at, time, user_id, movies, latency_ms, request_id, arm, model, revision, rung
FROM read_parquet($files, hive_partitioning = true)
WHERE kind = 'served' AND {column} = $value AND ($day IS NULL OR date = $day)
"""

files = f"{sys.argv[1]}/kind=served/date=*/*.parquet"
answers = []
for column, value, day in json.loads(sys.argv[2]):
    started = time.perf_counter()
    rows = duckdb.execute(SQL.format(column=column), {"files": files, "value": value, "day": day}).fetchall()
    answers.append({"seconds": time.perf_counter() - started, "requests": sorted(row[8] for row in rows)})
print(json.dumps(answers))
