-- view:    check_ranks
-- grain:   one row per neuron and polarity whose ranks have a gap
-- key:     dataset, run_id, layer, unit, polarity
-- reads:   top_examples
-- purpose: Top examples whose ranks are not 1, 2, 3, ... or whose order is wrong.
--
-- column          type     unit       meaning
-- dataset         varchar             name of the dataset
-- run_id          varchar             the run
-- layer           varchar             module path, point and pooling
-- unit            integer  index 0..  position of the neuron
-- polarity        varchar             positive or negative
-- row_count       bigint   count      rows
-- last_rank       bigint   rank 1..   largest rank
-- disorder_count  bigint   count      rows that are stronger than the one before
with

ordered as (
    select
        top_examples.dataset,
        top_examples.run_id,
        top_examples.layer,
        top_examples.unit,
        top_examples.polarity,
        top_examples.example_rank,
        top_examples.activation,
        lag(top_examples.activation) over (
            partition by
                top_examples.dataset,
                top_examples.run_id,
                top_examples.layer,
                top_examples.unit,
                top_examples.polarity
            order by top_examples.example_rank
        ) as activation_before,
    from top_examples
),

grouped as (
    select
        ordered.dataset,
        ordered.run_id,
        ordered.layer,
        ordered.unit,
        ordered.polarity,
        count(*) as row_count,
        max(ordered.example_rank) as last_rank,
        count(distinct ordered.example_rank) as rank_count,
        count(*) filter (
            where
            case ordered.polarity
                when 'positive' then ordered.activation > ordered.activation_before
                else ordered.activation < ordered.activation_before
            end
        ) as disorder_count,
    from ordered
    group by all
)

select
    grouped.dataset,
    grouped.run_id,
    grouped.layer,
    grouped.unit,
    grouped.polarity,
    grouped.row_count,
    grouped.last_rank,
    grouped.disorder_count,
from grouped
where
    grouped.last_rank <> grouped.row_count
    or grouped.rank_count <> grouped.row_count
    or grouped.disorder_count > 0;
