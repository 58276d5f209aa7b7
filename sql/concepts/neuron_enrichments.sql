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
-- column               type     unit       meaning
-- dataset              varchar             name of the dataset
-- model_id             varchar             architecture:pretrained
-- run_id               varchar             the run
-- layer                varchar             module path, point and pooling
-- unit                 integer  index 0..  position of the neuron inside its layer
-- polarity             varchar             positive (exciting) or negative (inhibiting)
-- concept              varchar             name of the concept
-- category             varchar             family that it belongs to
-- origin               varchar             texts, stimulus or similarity
-- top_size             bigint   count      testing: examples at the top of the neuron
-- top_count            bigint   count      of these, examples that show the concept
-- base_size            bigint   count      distinct images of the testing half
-- base_count           bigint   count      of these, images that show the concept
-- base_frac            double   0..1       base_count / base_size
-- lift                 double   ratio      (top_count / top_size) / base_frac
-- p_value              double   0..1       probability of top_count or more by chance
-- log10_p              double   log10      its logarithm, which does not underflow
-- q_value              double   0..1       false discovery rate where it is found
-- screening_top_size   bigint   count      the same on the screening half
-- screening_top_count  bigint   count      the same on the screening half
-- screening_log10_p    double   log10      the same on the screening half
with

top_halves as (
    select
        top_examples.dataset,
        top_examples.model_id,
        top_examples.run_id,
        top_examples.layer,
        top_examples.unit,
        top_examples.polarity,
        top_examples.example_id,
        stg_examples.half,
    from top_examples
    inner join stg_examples
        on
            top_examples.dataset = stg_examples.dataset
            and top_examples.example_id = stg_examples.example_id
    cross join settings
    where
        top_examples.example_rank <= settings.label_top_k
        and top_examples.activation <> 0
),

tested as materialized (
    select
        tested_concepts.dataset,
        tested_concepts.run_id,
        tested_concepts.concept,
        tested_concepts.category,
        tested_concepts.origin,
        tested_concepts.concept_id,
        tested_concepts.screening_count,
        tested_concepts.testing_count,
        tested_concepts.screening_size,
        tested_concepts.testing_size,
    from tested_concepts
),

shown as (
    -- Strings become numbers once, before they are multiplied by the neurons.
    select
        run_concepts.dataset,
        run_concepts.run_id,
        run_concepts.example_id,
        tested.concept_id,
    from run_concepts
    inner join tested
        on
            run_concepts.dataset = tested.dataset
            and run_concepts.run_id = tested.run_id
            and run_concepts.concept = tested.concept
            and run_concepts.category = tested.category
            and run_concepts.origin = tested.origin
),

neurons as materialized (
    select
        top_halves.dataset,
        top_halves.model_id,
        top_halves.run_id,
        top_halves.layer,
        top_halves.unit,
        top_halves.polarity,
        any_value(stg_layers.tower) as tower,
        count(*) filter (where top_halves.half = 'testing') as top_size,
        count(*) filter (where top_halves.half = 'screening') as screening_top_size,
    from top_halves
    inner join stg_layers
        on
            top_halves.dataset = stg_layers.dataset
            and top_halves.run_id = stg_layers.run_id
            and top_halves.layer = stg_layers.layer
    group by
        top_halves.dataset,
        top_halves.model_id,
        top_halves.run_id,
        top_halves.layer,
        top_halves.unit,
        top_halves.polarity
),

pair_counts as (
    select
        top_halves.dataset,
        top_halves.run_id,
        top_halves.layer,
        top_halves.unit,
        top_halves.polarity,
        shown.concept_id,
        count(*) filter (where top_halves.half = 'testing') as top_count,
        count(*) filter (where top_halves.half = 'screening') as screening_top_count,
    from top_halves
    inner join shown
        on
            top_halves.dataset = shown.dataset
            and top_halves.run_id = shown.run_id
            and top_halves.example_id = shown.example_id
    group by
        top_halves.dataset,
        top_halves.run_id,
        top_halves.layer,
        top_halves.unit,
        top_halves.polarity,
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
        tested.concept,
        tested.category,
        tested.origin,
        is_circular(neurons.tower, tested.origin) as is_circular,
        neurons.top_size,
        pair_counts.top_count,
        tested.testing_size as base_size,
        tested.testing_count as base_count,
        neurons.screening_top_size,
        pair_counts.screening_top_count,
        tested.screening_size,
        tested.screening_count,
    from pair_counts
    inner join neurons
        on
            pair_counts.dataset = neurons.dataset
            and pair_counts.run_id = neurons.run_id
            and pair_counts.layer = neurons.layer
            and pair_counts.unit = neurons.unit
            and pair_counts.polarity = neurons.polarity
    inner join tested
        on pair_counts.concept_id = tested.concept_id
),

tests as materialized (
    -- Pairs with the same counts share one p: thousands of sums for millions of pairs.
    select
        counts.base_size,
        counts.base_count,
        counts.top_size,
        counts.top_count,
        hypergeometric_log_tail(
            counts.base_size,
            counts.base_count,
            counts.top_size,
            counts.top_count
        ) as log_p,
    from (
        select pairs.base_size, pairs.base_count, pairs.top_size, pairs.top_count
        from pairs
        union
        select
            pairs.screening_size,
            pairs.screening_count,
            pairs.screening_top_size,
            pairs.screening_top_count,
        from pairs
    ) as counts
),

pair_totals as (
    select
        neuron_counts.dataset,
        neuron_counts.run_id,
        neuron_counts.polarity,
        concept_counts.origin,
        is_circular(neuron_counts.tower, concept_counts.origin) as is_circular,
        sum(neuron_counts.neuron_count * concept_counts.concept_count) as pair_total,
    from (
        select
            neurons.dataset,
            neurons.run_id,
            neurons.polarity,
            neurons.tower,
            count(*) as neuron_count,
        from neurons
        group by neurons.dataset, neurons.run_id, neurons.polarity, neurons.tower
    ) as neuron_counts
    inner join (
        select
            tested.dataset,
            tested.run_id,
            tested.origin,
            count(*) as concept_count,
        from tested
        group by tested.dataset, tested.run_id, tested.origin
    ) as concept_counts
        on
            neuron_counts.dataset = concept_counts.dataset
            and neuron_counts.run_id = concept_counts.run_id
    group by
        neuron_counts.dataset,
        neuron_counts.run_id,
        neuron_counts.polarity,
        concept_counts.origin,
        is_circular(neuron_counts.tower, concept_counts.origin)
),

scored as materialized (
    select
        pairs.dataset,
        pairs.model_id,
        pairs.run_id,
        pairs.layer,
        pairs.unit,
        pairs.polarity,
        pairs.concept,
        pairs.category,
        pairs.origin,
        pairs.is_circular,
        pairs.top_size,
        pairs.top_count,
        pairs.base_size,
        pairs.base_count,
        testing.log_p,
        pairs.screening_top_size,
        pairs.screening_top_count,
        screening.log_p as screening_log_p,
    from pairs
    inner join tests as testing
        on
            pairs.base_size = testing.base_size
            and pairs.base_count = testing.base_count
            and pairs.top_size = testing.top_size
            and pairs.top_count = testing.top_count
    inner join tests as screening
        on
            pairs.screening_size = screening.base_size
            and pairs.screening_count = screening.base_count
            and pairs.screening_top_size = screening.top_size
            and pairs.screening_top_count = screening.top_count
),

ranked as (
    select
        levels.dataset,
        levels.run_id,
        levels.polarity,
        levels.origin,
        levels.is_circular,
        levels.log_p,
        exp(levels.log_p) * pair_totals.pair_total
        / sum(levels.pair_count) over smaller as raw_q,
    from (
        select
            scored.dataset,
            scored.run_id,
            scored.polarity,
            scored.origin,
            scored.is_circular,
            scored.log_p,
            count(*) as pair_count,
        from scored
        group by
            scored.dataset,
            scored.run_id,
            scored.polarity,
            scored.origin,
            scored.is_circular,
            scored.log_p
    ) as levels
    inner join pair_totals
        on
            levels.dataset = pair_totals.dataset
            and levels.run_id = pair_totals.run_id
            and levels.polarity = pair_totals.polarity
            and levels.origin = pair_totals.origin
            and levels.is_circular = pair_totals.is_circular
    window
        smaller as (
            partition by
                levels.dataset,
                levels.run_id,
                levels.polarity,
                levels.origin,
                levels.is_circular
            order by levels.log_p asc
        )
),

corrected as (
    select
        ranked.dataset,
        ranked.run_id,
        ranked.polarity,
        ranked.origin,
        ranked.is_circular,
        ranked.log_p,
        least(1.0, min(ranked.raw_q) over larger) as q_value,
    from ranked
    window
        larger as (
            partition by
                ranked.dataset,
                ranked.run_id,
                ranked.polarity,
                ranked.origin,
                ranked.is_circular
            order by ranked.log_p desc
        )
)

select
    scored.dataset,
    scored.model_id,
    scored.run_id,
    scored.layer,
    scored.unit,
    scored.polarity,
    scored.concept,
    scored.category,
    scored.origin,
    scored.top_size,
    scored.top_count,
    scored.base_size,
    scored.base_count,
    scored.base_count / scored.base_size as base_frac,
    (scored.top_count * scored.base_size)
    / nullif(scored.top_size * scored.base_count, 0) as lift,
    exp(scored.log_p) as p_value,
    scored.log_p / ln(10) as log10_p,
    corrected.q_value,
    scored.screening_top_size,
    scored.screening_top_count,
    scored.screening_log_p / ln(10) as screening_log10_p,
from scored
inner join corrected
    on
        scored.dataset = corrected.dataset
        and scored.run_id = corrected.run_id
        and scored.polarity = corrected.polarity
        and scored.origin = corrected.origin
        and scored.is_circular = corrected.is_circular
        and scored.log_p = corrected.log_p;
