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
-- Layers of which that is not so (is_cut) are not tested, and have no rows.
-- z is the normal approximation with the correction for ties; null if all are tied.
--
-- column                    type    unit         meaning
-- dataset, model_id, run_id, layer, unit, concept, category, origin
-- positive_count            bigint  count        testing: images that show it
-- other_count               bigint  count        testing: images that do not
-- auroc                     double  0..1         testing: area under the ROC curve
-- z                         double  SD           testing: Mann-Whitney
-- mean_difference           double  model units  testing: mean of positives - others
-- screening_positive_count  bigint  count        the same on the screening half
-- screening_auroc           double  0..1         the same on the screening half
-- screening_z               double  SD           the same on the screening half
with

tested as materialized (
    select *
    from tested_concepts
),

half_sizes as (
    select distinct dataset, run_id, screening_size, testing_size,
    from tested
),

shown as materialized (
    select dataset, run_id, example_id, half = 'testing' as is_testing, concept_id,
    from run_concepts
    inner join tested using (dataset, run_id, concept, category, origin)
),

pair_sums as materialized (
    select
        dataset, run_id, layer, unit, concept_id,
        count(*) filter (where is_testing) as testing_stored,
        sum(rank2) filter (where is_testing) as testing_rank2,
        sum(activation::double) filter (where is_testing) as testing_sum,
        count(*) filter (where not is_testing) as screening_stored,
        sum(rank2) filter (where not is_testing) as screening_rank2,
    from stg_ranks
    inner join shown using (dataset, run_id, example_id)
    group by all
),

neurons as (
    select *, unnest(range(unit_count))::integer as unit,
    from stg_layers
    where not is_cut
),

testing as (
    select *
    from stg_rank_stats
    where half = 'testing'
),

screening as (
    select *
    from stg_rank_stats
    where half = 'screening'
),

neuron_halves as materialized (
    select
        dataset, model_id, run_id, layer, unit,
        testing_size::double as testing_size,
        screening_size::double as screening_size,
        testing_size::double - coalesce(testing.stored_count, 0) as testing_absent,
        screening_size::double - coalesce(screening.stored_count, 0)
            as screening_absent,
        coalesce(testing.tie_sum, 0.0) + testing_absent ^ 3 - testing_absent
            as testing_ties,
        coalesce(screening.tie_sum, 0.0) + screening_absent ^ 3 - screening_absent
            as screening_ties,
        coalesce(testing.activation_sum, 0.0) as testing_sum,
    from neurons
    inner join half_sizes using (dataset, run_id)
    left join testing using (dataset, run_id, layer, unit)
    left join screening using (dataset, run_id, layer, unit)
),

sums as (
    select
        neuron_halves.*,
        concept, category, origin, testing_count, screening_count,
        -- images without a stored activation share the mid-rank (absent + 1) / 2
        coalesce(testing_rank2, 0) / 2.0
        + (testing_count - coalesce(testing_stored, 0)) * (testing_absent + 1) / 2.0
            as testing_ranks,
        coalesce(screening_rank2, 0) / 2.0
        + (screening_count - coalesce(screening_stored, 0))
        * (screening_absent + 1) / 2.0 as screening_ranks,
        coalesce(pair_sums.testing_sum, 0.0) as testing_positive_sum,
    from neuron_halves
    inner join tested using (dataset, run_id)
    left join pair_sums using (dataset, run_id, layer, unit, concept_id)
)

select
    dataset, model_id, run_id, layer, unit, concept, category, origin,
    testing_count as positive_count,
    (testing_size - testing_count)::bigint as other_count,
    rank_auroc(testing_ranks, testing_count, testing_size) as auroc,
    rank_z(testing_ranks, testing_count, testing_size, testing_ties) as z,
    testing_positive_sum / testing_count
    - (testing_sum - testing_positive_sum) / (testing_size - testing_count)
        as mean_difference,
    screening_count as screening_positive_count,
    rank_auroc(screening_ranks, screening_count, screening_size) as screening_auroc,
    rank_z(screening_ranks, screening_count, screening_size, screening_ties)
        as screening_z,
from sums;
