-- view:    concept_ranks
-- grain:   one row per (run, layer, unit, concept, category, origin) that is tested
-- key:     dataset, run_id, layer, unit, concept, category, origin
-- reads:   run_concepts, tested_concepts, stg_ranks, stg_rank_stats, stg_layers
-- purpose: Rank statistics of every neuron and concept, in each half of the images.
-- cite:    Mann & Whitney 1947, doi:10.1214/aoms/1177730491
--
-- auroc is the probability that an image that shows the concept excites the neuron more
-- than one that does not, ties counting half: (R - n1 (n1 + 1) / 2) / (n1 n0), where R
-- is the sum of the mid-ranks of the n1 images that show it. Pairs without a single
-- stored activation are included: what a run does not store is zero or below, and tied.
-- z is the normal approximation with the correction for ties; null if all are tied.
--
-- column                      type     unit         meaning
-- dataset                     varchar               name of the dataset
-- model_id                    varchar               architecture:pretrained
-- run_id                      varchar               the run
-- layer                       varchar               module path, point and pooling
-- unit                        integer  index 0..    position of the neuron in its layer
-- concept                     varchar               name of the concept
-- category                    varchar               family that it belongs to
-- origin                      varchar               texts, stimulus or similarity
-- positive_count              bigint   count        testing: images that show it
-- other_count                 bigint   count        testing: images that do not
-- auroc                       double   0..1         testing: area under the ROC curve
-- z                           double   SD           testing: Mann-Whitney
-- mean_difference             double   model units  testing: mean of positives - others
-- screening_positive_count    bigint   count        the same on the screening half
-- screening_auroc             double   0..1         the same on the screening half
-- screening_z                 double   SD           the same on the screening half
with

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

half_sizes as (
    select distinct
        tested.dataset,
        tested.run_id,
        tested.screening_size,
        tested.testing_size,
    from tested
),

shown as materialized (
    select
        run_concepts.dataset,
        run_concepts.run_id,
        run_concepts.example_id,
        run_concepts.half = 'testing' as is_testing,
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

pair_sums as materialized (
    select
        stg_ranks.dataset,
        stg_ranks.run_id,
        stg_ranks.layer,
        stg_ranks.unit,
        shown.concept_id,
        count(*) filter (where shown.is_testing) as testing_stored,
        sum(stg_ranks.rank2) filter (where shown.is_testing) as testing_rank2,
        sum(stg_ranks.activation::double) filter (where shown.is_testing)
            as testing_sum,
        count(*) filter (where not shown.is_testing) as screening_stored,
        sum(stg_ranks.rank2) filter (where not shown.is_testing) as screening_rank2,
    from stg_ranks
    inner join shown
        on
            stg_ranks.dataset = shown.dataset
            and stg_ranks.run_id = shown.run_id
            and stg_ranks.example_id = shown.example_id
    group by
        stg_ranks.dataset,
        stg_ranks.run_id,
        stg_ranks.layer,
        stg_ranks.unit,
        shown.concept_id
),

neurons as (
    select
        stg_layers.dataset,
        stg_layers.model_id,
        stg_layers.run_id,
        stg_layers.layer,
        unnest(range(stg_layers.unit_count))::integer as unit,
    from stg_layers
),

neuron_halves as materialized (
    select
        neurons.dataset,
        neurons.model_id,
        neurons.run_id,
        neurons.layer,
        neurons.unit,
        half_sizes.testing_size::double as testing_size,
        half_sizes.screening_size::double as screening_size,
        coalesce(testing.stored_count, 0) as testing_stored,
        coalesce(testing.tie_sum, 0.0) as testing_ties,
        coalesce(testing.activation_sum, 0.0) as testing_sum,
        coalesce(screening.stored_count, 0) as screening_stored,
        coalesce(screening.tie_sum, 0.0) as screening_ties,
    from neurons
    inner join half_sizes
        on
            neurons.dataset = half_sizes.dataset
            and neurons.run_id = half_sizes.run_id
    left join stg_rank_stats as testing
        on
            neurons.dataset = testing.dataset
            and neurons.run_id = testing.run_id
            and neurons.layer = testing.layer
            and neurons.unit = testing.unit
            and testing.half = 'testing'
    left join stg_rank_stats as screening
        on
            neurons.dataset = screening.dataset
            and neurons.run_id = screening.run_id
            and neurons.layer = screening.layer
            and neurons.unit = screening.unit
            and screening.half = 'screening'
),

sums as (
    select
        neuron_halves.dataset,
        neuron_halves.model_id,
        neuron_halves.run_id,
        neuron_halves.layer,
        neuron_halves.unit,
        tested.concept,
        tested.category,
        tested.origin,
        tested.testing_count,
        tested.screening_count,
        neuron_halves.testing_size,
        neuron_halves.screening_size,
        -- images without a stored activation share the mid-rank (absent + 1) / 2
        coalesce(pair_sums.testing_rank2, 0) / 2.0
        + (tested.testing_count - coalesce(pair_sums.testing_stored, 0))
        * (neuron_halves.testing_size - neuron_halves.testing_stored + 1) / 2.0
            as testing_ranks,
        coalesce(pair_sums.screening_rank2, 0) / 2.0
        + (tested.screening_count - coalesce(pair_sums.screening_stored, 0))
        * (neuron_halves.screening_size - neuron_halves.screening_stored + 1) / 2.0
            as screening_ranks,
        neuron_halves.testing_ties
        + (neuron_halves.testing_size - neuron_halves.testing_stored) ^ 3
        - (neuron_halves.testing_size - neuron_halves.testing_stored)
            as testing_ties,
        neuron_halves.screening_ties
        + (neuron_halves.screening_size - neuron_halves.screening_stored) ^ 3
        - (neuron_halves.screening_size - neuron_halves.screening_stored)
            as screening_ties,
        coalesce(pair_sums.testing_sum, 0.0) as testing_positive_sum,
        neuron_halves.testing_sum,
    from neuron_halves
    inner join tested
        on
            neuron_halves.dataset = tested.dataset
            and neuron_halves.run_id = tested.run_id
    left join pair_sums
        on
            neuron_halves.dataset = pair_sums.dataset
            and neuron_halves.run_id = pair_sums.run_id
            and neuron_halves.layer = pair_sums.layer
            and neuron_halves.unit = pair_sums.unit
            and tested.concept_id = pair_sums.concept_id
)

select
    sums.dataset,
    sums.model_id,
    sums.run_id,
    sums.layer,
    sums.unit,
    sums.concept,
    sums.category,
    sums.origin,
    sums.testing_count as positive_count,
    (sums.testing_size - sums.testing_count)::bigint as other_count,
    rank_auroc(sums.testing_ranks, sums.testing_count, sums.testing_size) as auroc,
    rank_z(
        sums.testing_ranks, sums.testing_count, sums.testing_size, sums.testing_ties
    ) as z,
    sums.testing_positive_sum / sums.testing_count
    - (sums.testing_sum - sums.testing_positive_sum)
    / (sums.testing_size - sums.testing_count) as mean_difference,
    sums.screening_count as screening_positive_count,
    rank_auroc(sums.screening_ranks, sums.screening_count, sums.screening_size)
        as screening_auroc,
    rank_z(
        sums.screening_ranks,
        sums.screening_count,
        sums.screening_size,
        sums.screening_ties
    ) as screening_z,
from sums;
