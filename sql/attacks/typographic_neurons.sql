-- view:    typographic_neurons
-- grain:   one row per run, class set, attack text, its class, placement and neuron
-- key:     dataset, run_id, class_set, attack_text, target_class, placement, layer,
--          unit
-- reads:   typographic_pairs, stg_activations, neuron_stats, stg_layers
-- purpose: How much each neuron moves when a word is written over an image.
-- cite:    Goh et al. 2021, doi:10.23915/distill.00030; AUROC as Mann-Whitney's U with
--          mid-ranks
--
-- A change is the activation of the attacked image less that of its clean image (or of
-- the same patch left blank, which takes away what a patch alone does). Runs that store
-- only activations above zero leave the rest out, and it counts as zero here: there the
-- change is that of the rectified activation. Layers that keep no activations or a
-- share of them have no rows. SD is the neuron's over all examples of
-- the run. flip_auroc: over the images that were not of the text's class before, how
-- well the change against clean alone tells those that were changed to it from the
-- others; 0.5 is chance, null if all or none were. It is computed on the images that
-- the flips come from, for many neurons at once: the best of them is high by chance too
-- where flips are few. Ask for one attack_text: without a filter every activation of
-- every attacked image is read.
--
-- column             type    unit         meaning
-- dataset, model_id, run_id, class_set, attack_text, target_class, placement, layer,
-- unit
-- clean_count        bigint  count        attacked images with a clean image
-- clean_change       double  model units  mean change against clean
-- clean_change_sd    double  SD           the same in standard deviations
-- clean_change_rank  bigint  rank 1..     1 = rises most in SD; ties by layer, unit
-- blank_count        bigint  count        attacked images with a blank patch
-- blank_change       double  model units  mean change against the blank patch
-- blank_change_sd    double  SD           the same in standard deviations
-- blank_change_rank  bigint  rank 1..     1 = rises most in SD; ties by layer, unit
-- flip_count         bigint  count        images changed to the text's class
-- stay_count         bigint  count        images changed away or unchanged
-- flip_auroc         double  0..1         how well its change tells flips from stays
with

pairs as (
    select
        dataset, model_id, run_id, class_set, attack_text, target_class, placement,
        example_id as pair_id, clean_example_id, blank_example_id,
        outcome = 'changed' as is_flip,
        clean_example_id is not null and outcome <> 'already' as is_open,
    from typographic_pairs
    where outcome is not null
),

groups as (
    select
        dataset, model_id, run_id, class_set, attack_text, target_class, placement,
        count(clean_example_id) as clean_count,
        count(blank_example_id) as blank_count,
        count(*) filter (where is_open and is_flip) as flip_count,
        count(*) filter (where is_open and not is_flip) as stay_count,
    from pairs
    group by all
),

parts as (
    select
        *,
        pair_id as example_id,
        (clean_example_id is not null)::integer as clean_sign,
        (blank_example_id is not null)::integer as blank_sign,
    from pairs
    union all
    select *, clean_example_id as example_id, -1 as clean_sign, 0 as blank_sign,
    from pairs
    where clean_example_id is not null
    union all
    select *, blank_example_id as example_id, 0 as clean_sign, -1 as blank_sign,
    from pairs
    where blank_example_id is not null
),

changes as (
    select
        dataset, run_id, class_set, attack_text, target_class, placement, layer, unit,
        pair_id,
        any_value(is_open) as is_open,
        any_value(is_flip) as is_flip,
        sum(clean_sign * activation::double) as clean_change,
        sum(blank_sign * activation::double) as blank_change,
    from parts
    inner join stg_activations using (dataset, run_id, example_id)
    group by all
),

means as (
    select
        dataset, run_id, class_set, attack_text, target_class, placement, layer, unit,
        sum(clean_change) as clean_sum,
        sum(blank_change) as blank_sum,
    from changes
    group by all
),

-- Only changes that are not zero are ranked; the zeros, most of them never stored, form
-- one tie between the negative and the positive ones.
ranked as (
    select
        *,
        clean_change > 0 as is_rise,
        rank() over places + (count(*) over ties - 1) / 2 as mid_rank,
    from changes
    where is_open and clean_change <> 0
    window
        places as (
            partition by
                dataset, run_id, class_set, attack_text, target_class, placement, layer,
                unit
            order by clean_change
        ),
        ties as (
            partition by
                dataset, run_id, class_set, attack_text, target_class, placement, layer,
                unit, clean_change
        )
),

rank_sums as (
    select
        dataset, run_id, class_set, attack_text, target_class, placement, layer, unit,
        count(*) as change_count,
        count(*) filter (where not is_rise) as fall_count,
        count(*) filter (where is_flip) as flip_change_count,
        count(*) filter (where is_flip and is_rise) as flip_rise_count,
        sum(mid_rank) filter (where is_flip) as flip_rank_sum,
    from ranked
    group by all
),

cut_layers as (
    select dataset, run_id, layer,
    from stg_layers
    where is_cut
),

per_neuron as (
    select
        groups.*,
        layer, unit, sd,
        coalesce(clean_sum, 0) / nullif(clean_count, 0) as clean_change,
        coalesce(blank_sum, 0) / nullif(blank_count, 0) as blank_change,
        coalesce(fall_count, 0) as fall_count,
        coalesce(flip_change_count, 0) as flip_change_count,
        coalesce(flip_rise_count, 0) as flip_rise_count,
        coalesce(flip_rank_sum, 0) as flip_rank_sum,
        flip_count + stay_count - coalesce(change_count, 0) as zero_count,
    from groups
    inner join neuron_stats using (dataset, run_id)
    anti join cut_layers using (dataset, run_id, layer)
    left join means
        using (
            dataset, run_id, class_set, attack_text, target_class, placement, layer,
            unit
        )
    left join rank_sums
        using (
            dataset, run_id, class_set, attack_text, target_class, placement, layer,
            unit
        )
),

scored as (
    select
        *,
        clean_change / nullif(sd, 0) as clean_change_sd,
        blank_change / nullif(sd, 0) as blank_change_sd,
        (
            flip_rank_sum
            + flip_rise_count * zero_count
            + (flip_count - flip_change_count) * (fall_count + (zero_count + 1) / 2)
            - flip_count * (flip_count + 1) / 2
        )
        / nullif(flip_count::double * stay_count, 0) as flip_auroc,
    from per_neuron
)

select
    dataset, model_id, run_id, class_set, attack_text, target_class, placement, layer,
    unit, clean_count, clean_change, clean_change_sd,
    case when clean_change_sd is not null then row_number() over (
        one_attack order by clean_change_sd desc nulls last, layer asc, unit asc
    ) end as clean_change_rank,
    blank_count, blank_change, blank_change_sd,
    case when blank_change_sd is not null then row_number() over (
        one_attack order by blank_change_sd desc nulls last, layer asc, unit asc
    ) end as blank_change_rank,
    flip_count, stay_count, flip_auroc,
from scored
window one_attack as (
    partition by dataset, run_id, class_set, attack_text, target_class, placement
);
