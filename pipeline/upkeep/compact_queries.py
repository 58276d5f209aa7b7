"""The rows of one block of a compaction, sorted and ranked, and their statistics."""

from __future__ import annotations

# Absent activations are zero or below (a run that stores 'positive'), so ranks from the top are
# known from the stored rows alone: among n images the mid-rank from below is n + 1 minus the
# mid-rank from above. Of a layer that keeps a share only (is_cut) they are not.
# Ranks are among the shards that are compacted together: of the run, where these are all of it.
UNIVERSE = """
create or replace temp table universe as
select
    stg_run_examples.example_id,
    case when not stg_run_examples.is_duplicate then stg_examples.half end as half,
from stg_run_examples
inner join stg_examples
    on
        stg_run_examples.dataset = stg_examples.dataset
        and stg_run_examples.example_id = stg_examples.example_id
inner join (select unnest($ordinals::bigint[]) as ordinal) as chosen
    on stg_run_examples.example_id >> 20 = chosen.ordinal
where stg_run_examples.dataset = $dataset and stg_run_examples.run_id = $run_id
"""

# Of the shards' own files of a layer, and of earlier levels of a compaction.
SOURCE = """
create or replace temp view level_rows as
select unit::integer as unit, example_id, activation::float as activation
from read_parquet([{files}], hive_partitioning = false)
"""

SORTED = """
create or replace temp table sorted as
with

half_sizes as (
    select universe.half, count(*) as half_size
    from universe
    group by universe.half
),

block as (
    select
        level_rows.unit,
        level_rows.example_id,
        level_rows.activation,
        universe.half,
    from level_rows
    inner join universe on level_rows.example_id = universe.example_id
    where level_rows.unit >= $first_unit and level_rows.unit < $end_unit
),

ranked as (
    select
        block.unit,
        block.example_id,
        block.activation,
        block.half,
        rank() over (
            partition by block.unit, block.half order by block.activation desc
        ) as first_place,
        count(*) over (partition by block.unit, block.half, block.activation) as tie_count,
    from block
)

select
    ranked.unit,
    ranked.example_id,
    ranked.activation,
    ranked.half,
    ranked.tie_count,
    case
        when
            ranked.half is not null
            and (
                select not stg_layers.is_cut from stg_layers
                where
                    stg_layers.dataset = $dataset and stg_layers.run_id = $run_id
                    and stg_layers.layer = $layer
            )
            then 2 * (half_sizes.half_size + 1)
            - (2 * ranked.first_place + ranked.tie_count - 1)
    end as rank2,
from ranked
inner join half_sizes on ranked.half is not distinct from half_sizes.half
"""

ROWS = """
select
    unit::uinteger as unit, example_id, activation, rank2,
    (half = 'testing')::utinyint as is_testing,
from sorted
order by unit, activation desc, example_id
"""

# Each of t equal values adds t^2 - 1: together t^3 - t. Activations are added up elsewhere, in one order.
STATS = """
select
    unit::uinteger as unit,
    half,
    count(*) as stored_count,
    sum(tie_count * tie_count - 1)::double as tie_sum,
from sorted
where half is not null
group by unit, half
order by unit, half
"""

COUNTS = """
select unit::uinteger as unit, half, activation, count(*) as example_count
from sorted
where half is not null
group by unit, half, activation
order by unit, half, activation
"""
