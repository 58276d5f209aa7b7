"""What a merge keeps of some units: of the moments, histograms, top images and samples of many shards.

Each query reads the relations ``raw_shard_stats``, ``raw_shard_histograms``, ``raw_shard_top``,
``raw_shard_samples`` and ``raw_merged_samples``, of one layer and some of its units, and gives the rows of the
merge's file in its order. They take the steps that the views take, so that the views answer the same.
"""

from __future__ import annotations

STATS = """
with

parts as (
    select
        unit,
        list(part_of_row({columns}) order by shard_ordinal) as parts,
    from raw_shard_stats
    group by unit
),

means as (
    select *, mean_of_parts(parts) as mean from parts
),

merged as (
    select unit, merge_moments(parts, mean) as whole from means
)

select unit, {first} as shard_ordinal, {fields},
from merged
order by unit
"""

HISTOGRAMS = """
select unit, {first} as shard_ordinal, bin, sum(example_count)::bigint as example_count
from raw_shard_histograms
group by unit, bin
order by unit, bin
"""

TOP = """
with

heaps as (
    select
        unit, polarity,
        min(
            {{
                'place': if(polarity = 'positive', 0 - activation, activation),
                'example_id': example_id,
                'peak': peak
            }},
            {top_k}::bigint
        ) as best,
    from raw_shard_top
    group by all
),

ranked as (
    select
        unit, polarity,
        unnest(range(1, len(best) + 1)) as example_rank,
        unnest(best) as one,
    from heaps
)

select
    unit, {first} as shard_ordinal, polarity, example_rank, one.example_id,
    if(polarity = 'positive', 0 - one.place, one.place) as activation, one.peak,
from ranked
order by unit, polarity desc, example_rank
"""

SAMPLES = """
select
    unit, {first} as shard_ordinal, bin, is_lowest, image_count as bin_example_count,
    example_id, activation, peak,
from ({samples})
order by unit, bin, is_lowest, priority, example_id
"""

QUERIES = {
    "shard_stats": STATS,
    "shard_histograms": HISTOGRAMS,
    "shard_top": TOP,
    "merged_samples": SAMPLES,
}
"""By the table that they write."""
