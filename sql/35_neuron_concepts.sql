-- view:    neuron_concepts
-- grain:   one row per (run_id, layer, unit, polarity, concept, category)
-- key:     dataset, run_id, layer, unit, polarity, concept, category
-- reads:   top_examples, stg_run_examples, example_concepts, settings
-- purpose: Concepts that are enriched among the strongest examples of each neuron.
-- cite:    Benjamini & Hochberg 1995, doi:10.1111/j.2517-6161.1995.tb02031.x
--
-- The universe is the run's examples, each image once. The top is the first label_top_k
-- examples, without those whose activation is exactly zero: these are tied, so their
-- order says nothing (a rectified neuron at rest). p is the upper tail of the
-- hypergeometric distribution. q counts every pair of a neuron with a top and a concept
-- with at least concept_min_count examples, of one run and polarity; pairs that are not
-- rows have p = 1 and change no other pair's q. Screening and testing halves are not
-- parted here.
--
-- column       type     unit       meaning
-- dataset      varchar             name of the dataset
-- model_id     varchar             architecture:pretrained
-- run_id       varchar             the run
-- layer        varchar             module path, point and pooling
-- unit         integer  index 0..  position of the neuron inside its layer
-- polarity     varchar             positive (exciting) or negative (inhibiting)
-- concept      varchar             English name of the concept; a person's title
-- category     varchar             family that it belongs to
-- top_size     bigint   count      examples at the top of the neuron
-- top_count    bigint   count      of these, examples that show the concept
-- base_size    bigint   count      examples of the run, each image once
-- base_count   bigint   count      of these, examples that show the concept
-- base_frac    double   0..1       base_count / base_size
-- lift         double   ratio      (top_count / top_size) / base_frac
-- p_value      double   0..1       probability of top_count or more by chance
-- log10_p      double   log10      its logarithm, which does not underflow
-- q_value      double   0..1       false discovery rate at which the pair is found
with

settings as (
    select
        settings.label_top_k,
        settings.concept_min_count
    from settings
),

universe as (
    select
        stg_run_examples.run_id,
        stg_run_examples.dataset,
        stg_run_examples.example_id
    from stg_run_examples
    where not stg_run_examples.is_duplicate
),

top_examples as (
    select
        top_examples.dataset,
        top_examples.model_id,
        top_examples.run_id,
        top_examples.layer,
        top_examples.unit,
        top_examples.polarity,
        top_examples.example_id
    from top_examples
    cross join settings
    where
        top_examples.example_rank <= settings.label_top_k
        and top_examples.activation <> 0
),

example_concepts as materialized (
    select distinct
        example_concepts.dataset,
        example_concepts.example_id,
        example_concepts.concept,
        example_concepts.category
    from example_concepts
),

base_sizes as (
    select
        universe.run_id,
        universe.dataset,
        count(*) as base_size
    from universe
    group by
        universe.run_id,
        universe.dataset
),

tested_concepts as materialized (
    select
        universe.run_id,
        universe.dataset,
        example_concepts.concept,
        example_concepts.category,
        count(*) as base_count,
        row_number() over (
            order by
                universe.dataset,
                universe.run_id,
                example_concepts.concept,
                example_concepts.category
        ) as concept_id
    from universe
    inner join example_concepts
        on
            universe.dataset = example_concepts.dataset
            and universe.example_id = example_concepts.example_id
    cross join settings
    group by
        universe.run_id,
        universe.dataset,
        example_concepts.concept,
        example_concepts.category
    having count(*) >= any_value(settings.concept_min_count)
),

shown as (
    -- Strings become numbers once, before they are multiplied by the neurons.
    select
        tested_concepts.run_id,
        tested_concepts.dataset,
        example_concepts.example_id,
        tested_concepts.concept_id
    from example_concepts
    inner join tested_concepts
        on
            example_concepts.dataset = tested_concepts.dataset
            and example_concepts.concept = tested_concepts.concept
            and example_concepts.category = tested_concepts.category
),

neurons as materialized (
    select
        top_examples.dataset,
        top_examples.model_id,
        top_examples.run_id,
        top_examples.layer,
        top_examples.unit,
        top_examples.polarity,
        count(*) as top_size
    from top_examples
    group by
        top_examples.dataset,
        top_examples.model_id,
        top_examples.run_id,
        top_examples.layer,
        top_examples.unit,
        top_examples.polarity
),

pair_counts as (
    select
        top_examples.dataset,
        top_examples.run_id,
        top_examples.layer,
        top_examples.unit,
        top_examples.polarity,
        shown.concept_id,
        count(*) as top_count
    from top_examples
    inner join shown
        on
            top_examples.dataset = shown.dataset
            and top_examples.run_id = shown.run_id
            and top_examples.example_id = shown.example_id
    group by
        top_examples.dataset,
        top_examples.run_id,
        top_examples.layer,
        top_examples.unit,
        top_examples.polarity,
        shown.concept_id
),

pairs as materialized (
    select
        neurons.dataset,
        neurons.model_id,
        neurons.run_id,
        neurons.layer,
        neurons.unit,
        neurons.polarity,
        tested_concepts.concept,
        tested_concepts.category,
        neurons.top_size,
        pair_counts.top_count,
        base_sizes.base_size,
        tested_concepts.base_count
    from pair_counts
    inner join neurons
        on
            pair_counts.dataset = neurons.dataset
            and pair_counts.run_id = neurons.run_id
            and pair_counts.layer = neurons.layer
            and pair_counts.unit = neurons.unit
            and pair_counts.polarity = neurons.polarity
    inner join tested_concepts
        on pair_counts.concept_id = tested_concepts.concept_id
    inner join base_sizes
        on
            pair_counts.dataset = base_sizes.dataset
            and pair_counts.run_id = base_sizes.run_id
),

tests as (
    -- Pairs with the same counts share one p: thousands of sums for millions of pairs.
    select
        pairs.dataset,
        pairs.run_id,
        pairs.polarity,
        pairs.top_size,
        pairs.top_count,
        pairs.base_count,
        count(*) as pair_count,
        hypergeometric_log_tail(
            any_value(pairs.base_size),
            pairs.base_count,
            pairs.top_size,
            pairs.top_count
        ) as log_p
    from pairs
    group by
        pairs.dataset,
        pairs.run_id,
        pairs.polarity,
        pairs.top_size,
        pairs.top_count,
        pairs.base_count
),

neuron_totals as (
    select
        neurons.dataset,
        neurons.run_id,
        neurons.polarity,
        count(*) as neuron_count
    from neurons
    group by
        neurons.dataset,
        neurons.run_id,
        neurons.polarity
),

concept_totals as (
    select
        tested_concepts.dataset,
        tested_concepts.run_id,
        count(*) as concept_count
    from tested_concepts
    group by
        tested_concepts.dataset,
        tested_concepts.run_id
),

ranked as (
    select
        tests.dataset,
        tests.run_id,
        tests.polarity,
        tests.top_size,
        tests.top_count,
        tests.base_count,
        tests.log_p,
        exp(tests.log_p)
        * (neuron_totals.neuron_count * concept_totals.concept_count)
        / sum(tests.pair_count) over smaller as raw_q
    from tests
    inner join neuron_totals
        on
            tests.dataset = neuron_totals.dataset
            and tests.run_id = neuron_totals.run_id
            and tests.polarity = neuron_totals.polarity
    inner join concept_totals
        on
            tests.dataset = concept_totals.dataset
            and tests.run_id = concept_totals.run_id
    window
        smaller as (
            partition by
                tests.dataset,
                tests.run_id,
                tests.polarity
            order by tests.log_p asc
            range between unbounded preceding and current row
        )
),

corrected as (
    select
        ranked.dataset,
        ranked.run_id,
        ranked.polarity,
        ranked.top_size,
        ranked.top_count,
        ranked.base_count,
        ranked.log_p,
        least(1.0, min(ranked.raw_q) over larger) as q_value
    from ranked
    window
        larger as (
            partition by
                ranked.dataset,
                ranked.run_id,
                ranked.polarity
            order by ranked.log_p desc
            range between unbounded preceding and current row
        )
),

enriched as (
    select
        pairs.dataset,
        pairs.model_id,
        pairs.run_id,
        pairs.layer,
        pairs.unit,
        pairs.polarity,
        pairs.concept,
        pairs.category,
        pairs.top_size,
        pairs.top_count,
        pairs.base_size,
        pairs.base_count,
        pairs.base_count / pairs.base_size as base_frac,
        (pairs.top_count * pairs.base_size)
        / (pairs.top_size * pairs.base_count) as lift,
        exp(corrected.log_p) as p_value,
        corrected.log_p / ln(10) as log10_p,
        corrected.q_value
    from pairs
    inner join corrected
        on
            pairs.dataset = corrected.dataset
            and pairs.run_id = corrected.run_id
            and pairs.polarity = corrected.polarity
            and pairs.top_size = corrected.top_size
            and pairs.top_count = corrected.top_count
            and pairs.base_count = corrected.base_count
)

select
    enriched.dataset,
    enriched.model_id,
    enriched.run_id,
    enriched.layer,
    enriched.unit,
    enriched.polarity,
    enriched.concept,
    enriched.category,
    enriched.top_size,
    enriched.top_count,
    enriched.base_size,
    enriched.base_count,
    enriched.base_frac,
    enriched.lift,
    enriched.p_value,
    enriched.log10_p,
    enriched.q_value
from enriched;
