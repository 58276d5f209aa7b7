-- view:    check_ranks
-- grain:   one row per neuron and polarity whose ranks have a gap
-- key:     dataset, run_id, layer, unit, polarity
-- reads:   top_examples
-- purpose: Top examples whose ranks are not 1, 2, 3, ... or whose order is wrong.
--
-- column          type     unit      meaning
-- dataset, run_id, layer, unit
-- polarity        varchar            positive or negative
-- row_count       bigint   count     rows
-- last_rank       bigint   rank 1..  largest rank
-- disorder_count  bigint   count     rows that are stronger than the one before
with

ordered as (
    select
        *,
        lag(activation) over (
            partition by dataset, run_id, layer, unit, polarity order by example_rank
        ) as activation_before,
    from top_examples
),

grouped as (
    select
        dataset, run_id, layer, unit, polarity,
        count(*) as row_count,
        max(example_rank) as last_rank,
        count(distinct example_rank) as rank_count,
        count(*) filter (
            where
            case polarity
                when 'positive' then activation > activation_before
                else activation < activation_before
            end
        ) as disorder_count,
    from ordered
    group by all
)

select
    dataset, run_id, layer, unit, polarity, row_count, last_rank, disorder_count,
from grouped
where last_rank <> row_count or rank_count <> row_count or disorder_count > 0;
