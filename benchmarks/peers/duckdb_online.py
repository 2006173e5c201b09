"""DuckDB finds the outcomes of each arm's users in the parquet files of a lake: `duckdb_online.py LAKE`, JSON out."""

import json
import resource
import sys
import time

import duckdb

SQL = """
WITH
rows AS (SELECT * FROM read_parquet($files, hive_partitioning = true, union_by_name = true)),
served AS (
    SELECT DISTINCT ON ("partition", "offset") user_id, time, movies, arm
    FROM rows WHERE kind = 'served' ORDER BY "partition", "offset", ingested_at
),
logged AS (
    SELECT DISTINCT ON ("partition", "offset") user_id, time, movies
    FROM rows WHERE kind = 'request' AND status = 200 ORDER BY "partition", "offset", ingested_at
),
until AS (
    SELECT min(last) AS moment FROM (
        SELECT max(time) AS last FROM rows WHERE kind = 'watch' GROUP BY user_id ORDER BY last DESC LIMIT 10
    )
),
seen AS (
    SELECT * FROM served s WHERE EXISTS (
        FROM logged l WHERE l.user_id = s.user_id AND l.movies = s.movies
        AND l.time BETWEEN s.time - INTERVAL 1 MINUTE AND s.time + INTERVAL 1 MINUTE
    ) OR s.time >= (SELECT moment FROM until) - INTERVAL 1 MINUTE
),
users AS (
    SELECT user_id, arg_min(arm, time) AS arm, min(time) + INTERVAL 1 HOUR AS closes
    FROM seen GROUP BY user_id HAVING closes <= (SELECT moment FROM until)
),
listed AS (
    SELECT user_id, movie_id, min(time) AS since
    FROM (SELECT user_id, time, unnest(movies) AS movie_id FROM seen) GROUP BY ALL
),
watched AS (SELECT user_id, movie_id, time, minute FROM rows WHERE kind = 'watch'),
hits AS (
    SELECT user_id, movie_id FROM watched JOIN listed USING (user_id, movie_id) JOIN users USING (user_id)
    GROUP BY user_id, movie_id HAVING min(watched.time) >= any_value(since) AND min(watched.time) < any_value(closes)
),
minutes AS (
    SELECT user_id, count(DISTINCT (movie_id, minute)) AS minutes
    FROM watched JOIN hits USING (user_id, movie_id) JOIN users USING (user_id)
    WHERE watched.time < closes GROUP BY user_id
)
SELECT arm, count(*)::INT, count(minutes)::INT, sum(coalesce(minutes, 0))::INT
FROM users LEFT JOIN minutes USING (user_id) GROUP BY arm ORDER BY arm DESC
"""

started = time.perf_counter()
found = duckdb.execute(SQL, {"files": f"{sys.argv[1]}/kind=*/date=*/*.parquet"}).fetchall()
seconds = time.perf_counter() - started
peak_gib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
print(json.dumps({"seconds": seconds, "peak_gib": peak_gib, "outcomes": {arm: numbers for arm, *numbers in found}}))
