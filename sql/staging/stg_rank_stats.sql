-- view:    stg_rank_stats
-- grain:   one row per (neuron, half) with a stored activation
-- key:     dataset, run_id, layer, unit, half
-- reads:   raw_compact_stats, stg_ranks, stg_runs, stg_examples
-- purpose: What rank statistics need of each neuron beside the ranks.
--
-- column          type     unit         meaning
-- dataset         varchar               name of the dataset
-- run_id          varchar               the run
-- layer           varchar               module path, point and pooling
-- unit            integer  index 0..    position of the neuron inside its layer
-- half            varchar               screening or testing
-- stored_count    bigint   count        stored activations of distinct images
-- tie_sum         double   count^3      sum of t^3 - t over groups of t equal ones
-- activation_sum  double   model units  sum of these activations
with

others as (
    select
        stg_ranks.dataset,
        stg_ranks.run_id,
        stg_ranks.layer,
        stg_ranks.unit,
        stg_examples.half,
        count(*) as tie_count,
        sum(stg_ranks.activation::double) as activation_sum,
    from stg_ranks
    inner join stg_runs
        on
            stg_ranks.dataset = stg_runs.dataset
            and stg_ranks.run_id = stg_runs.run_id
    inner join stg_examples
        on
            stg_ranks.dataset = stg_examples.dataset
            and stg_ranks.example_id = stg_examples.example_id
    where not stg_runs.is_compacted
    group by
        stg_ranks.dataset,
        stg_ranks.run_id,
        stg_ranks.layer,
        stg_ranks.unit,
        stg_examples.half,
        stg_ranks.rank2
)

select
    raw_compact_stats.dataset,
    raw_compact_stats.run_id,
    raw_compact_stats.layer,
    raw_compact_stats.unit::integer as unit,
    raw_compact_stats.half,
    raw_compact_stats.stored_count,
    raw_compact_stats.tie_sum,
    raw_compact_stats.activation_sum,
from raw_compact_stats
union all
select
    others.dataset,
    others.run_id,
    others.layer,
    others.unit,
    others.half,
    sum(others.tie_count)::bigint as stored_count,
    sum(others.tie_count::double ^ 3 - others.tie_count) as tie_sum,
    sum(others.activation_sum) as activation_sum,
from others
group by
    others.dataset,
    others.run_id,
    others.layer,
    others.unit,
    others.half;
