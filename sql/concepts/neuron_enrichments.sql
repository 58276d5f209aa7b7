-- view:    neuron_enrichments
-- grain:   one row per (run, layer, unit, polarity, concept, category, origin)
-- key:     dataset, run_id, layer, unit, polarity, concept, category, origin
-- reads:   top_examples, stg_examples, stg_layers, run_concepts, tested_concepts,
--          settings
-- purpose: Concepts that are enriched among the strongest examples of each neuron.
-- cite:    Benjamini & Hochberg 1995, doi:10.1111/j.2517-6161.1995.tb02031.x
--
-- The top of a neuron is its first label_top_k examples, without those whose activation
-- is exactly zero: these are tied, so their order says nothing (a rectified neuron at
-- rest). It is parted into its screening and its testing half; each is compared with
-- all distinct images of that half. p is the upper tail of the hypergeometric
-- distribution. q counts every pair of a neuron with a top and a tested concept of one
-- run, polarity and origin; pairs that are not rows have p = 1 in the testing half and
-- change no other pair's q. Pairs of a text tower with what is told by the very texts
-- it read (is_circular in neuron_concepts) are corrected among themselves: there are
-- many of them and all but certain ones, which would make every other q too small.
--
-- column               type    unit   meaning
-- dataset, model_id, run_id, layer, unit, polarity, concept, category, origin
-- top_size             bigint  count  testing: examples at the top of the neuron
-- top_count            bigint  count  of these, examples that show the concept
-- base_size            bigint  count  distinct images of the testing half
-- base_count           bigint  count  of these, images that show the concept
-- base_frac            double  0..1   base_count / base_size
-- lift                 double  ratio  (top_count / top_size) / base_frac
-- p_value              double  0..1   probability of top_count or more by chance
-- log10_p              double  log10  its logarithm, which does not underflow
-- q_value              double  0..1   false discovery rate where it is found
-- screening_top_size   bigint  count  the same on the screening half
-- screening_top_count  bigint  count  the same on the screening half
-- screening_log10_p    double  log10  the same on the screening half
with

top_halves as (
    select
        dataset, model_id, run_id, layer, unit, polarity, example_id,
        half = 'testing' as is_testing,
    from top_examples
    inner join stg_examples using (dataset, example_id)
    cross join settings
    where example_rank <= label_top_k and activation <> 0
),

tested as materialized (
    select *
    from tested_concepts
),

shown as (
    -- Strings become numbers once, before they are multiplied by the neurons.
    select dataset, run_id, example_id, concept_id,
    from run_concepts
    inner join tested using (dataset, run_id, concept, category, origin)
),

neurons as materialized (
    select
        dataset, top_halves.model_id, run_id, layer, unit, polarity, tower,
        count(*) filter (where is_testing) as top_size,
        count(*) filter (where not is_testing) as screening_top_size,
    from top_halves
    inner join stg_layers using (dataset, run_id, layer)
    group by all
),

pair_counts as (
    select
        dataset, run_id, layer, unit, polarity, concept_id,
        count(*) filter (where is_testing) as top_count,
        count(*) filter (where not is_testing) as screening_top_count,
    from top_halves
    inner join shown using (dataset, run_id, example_id)
    group by all
),

pairs as materialized (
    select
        dataset, model_id, run_id, layer, unit, polarity, concept, category, origin,
        is_circular(tower, origin) as is_circular,
        top_size, top_count,
        testing_size as base_size,
        testing_count as base_count,
        screening_top_size, screening_top_count, screening_size, screening_count,
    from pair_counts
    inner join neurons using (dataset, run_id, layer, unit, polarity)
    inner join tested using (dataset, run_id, concept_id)
),

counts as (
    select base_size, base_count, top_size, top_count,
    from pairs
    union
    select
        screening_size, screening_count, screening_top_size, screening_top_count,
    from pairs
),

tests as materialized (
    -- Pairs with the same counts share one p: thousands of sums for millions of pairs.
    select
        *, hypergeometric_log_tail(base_size, base_count, top_size, top_count) as log_p,
    from counts
),

scored as materialized (
    select
        pairs.*,
        (pairs.dataset, pairs.run_id, polarity, origin, is_circular) as pool,
        testing.log_p,
        screening.log_p as screening_log_p,
    from pairs
    inner join tests as testing using (base_size, base_count, top_size, top_count)
    inner join tests as screening
        on
            pairs.screening_size = screening.base_size
            and pairs.screening_count = screening.base_count
            and pairs.screening_top_size = screening.top_size
            and pairs.screening_top_count = screening.top_count
),

neuron_counts as (
    select dataset, run_id, polarity, tower, count(*) as neuron_count,
    from neurons
    group by all
),

concept_counts as (
    select dataset, run_id, origin, count(*) as concept_count,
    from tested
    group by all
),

pair_totals as (
    select
        (dataset, run_id, polarity, origin, is_circular(tower, origin)) as pool,
        sum(neuron_count * concept_count) as pair_total,
    from neuron_counts
    inner join concept_counts using (dataset, run_id)
    group by all
),

levels as (
    select pool, log_p, count(*) as pair_count,
    from scored
    group by all
),

ranked as (
    select
        pool, log_p,
        benjamini_hochberg_step(exp(log_p), log_p, pool, pair_count, pair_total)
            as step,
    from levels
    inner join pair_totals using (pool)
),

corrected as (
    select pool, log_p, benjamini_hochberg_q(step, log_p, pool) as q_value,
    from ranked
)

select
    dataset, model_id, run_id, layer, unit, polarity, concept, category, origin,
    top_size, top_count, base_size, base_count,
    base_count / base_size as base_frac,
    (top_count * base_size) / nullif(top_size * base_count, 0) as lift,
    exp(log_p) as p_value,
    log_p / ln(10) as log10_p,
    q_value,
    screening_top_size, screening_top_count,
    screening_log_p / ln(10) as screening_log10_p,
from scored
inner join corrected using (pool, log_p);
