-- view:    typographic_neurons
-- grain:   one row per run, class set, attack text, its class, placement and neuron
-- key:     dataset, run_id, class_set, attack_text, target_class, placement, layer,
--          unit
-- reads:   typographic_pairs, stg_activations, neuron_stats
-- purpose: How much each neuron moves when a word is written over an image.
-- cite:    Goh et al. 2021, doi:10.23915/distill.00030; AUROC as Mann-Whitney's U with
--          mid-ranks
--
-- A change is the activation of the attacked image less that of its clean image (or of
-- the same patch left blank, which takes away what a patch alone does). Runs that store
-- only activations above zero leave the rest out, and it counts as zero here: there the
-- change is that of the rectified activation. SD is the neuron's over all examples of
-- the run. flip_auroc: over the images that were not of the text's class before, how
-- well the change against clean alone tells those that were changed to it from the
-- others; 0.5 is chance, null if all or none were. It is computed on the images that
-- the flips come from, for many neurons at once: the best of them is high by chance too
-- where flips are few. Ask for one attack_text: without a filter every activation of
-- every attacked image is read.
--
-- column              type     unit         meaning
-- dataset             varchar               name of the dataset
-- model_id            varchar               architecture:pretrained
-- run_id              varchar               the run
-- class_set           varchar               the classes that it was chosen from
-- attack_text         varchar               what was written
-- target_class        varchar               the class of that text
-- placement           varchar               where it was written
-- layer               varchar               module path, point and pooling
-- unit                integer  index 0..    position of the neuron inside its layer
-- clean_count         bigint   count        attacked images with a clean image
-- clean_change        double   model units  mean change against clean
-- clean_change_sd     double   SD           the same in standard deviations
-- clean_change_rank   bigint   rank 1..     1 = rises most in SD; ties by layer, unit
-- blank_count         bigint   count        attacked images with a blank patch
-- blank_change        double   model units  mean change against the blank patch
-- blank_change_sd     double   SD           the same in standard deviations
-- blank_change_rank   bigint   rank 1..     1 = rises most in SD; ties by layer, unit
-- flip_count          bigint   count        images changed to the text's class
-- stay_count          bigint   count        images changed away or unchanged
-- flip_auroc          double   0..1         how well its change tells flips from stays
with

pairs as (
    select
        typographic_pairs.dataset,
        typographic_pairs.model_id,
        typographic_pairs.run_id,
        typographic_pairs.class_set,
        typographic_pairs.attack_text,
        typographic_pairs.target_class,
        typographic_pairs.placement,
        typographic_pairs.example_id,
        typographic_pairs.clean_example_id,
        typographic_pairs.blank_example_id,
        typographic_pairs.outcome = 'changed' as is_flip,
        typographic_pairs.clean_example_id is not null
        and typographic_pairs.outcome <> 'already' as is_open,
    from typographic_pairs
    where typographic_pairs.outcome is not null
),

groups as (
    select
        pairs.dataset,
        pairs.model_id,
        pairs.run_id,
        pairs.class_set,
        pairs.attack_text,
        pairs.target_class,
        pairs.placement,
        count(pairs.clean_example_id) as clean_count,
        count(pairs.blank_example_id) as blank_count,
        count(*) filter (where pairs.is_open and pairs.is_flip) as flip_count,
        count(*) filter (where pairs.is_open and not pairs.is_flip) as stay_count,
    from pairs
    group by all
),

parts as (
    select
        pairs.dataset,
        pairs.run_id,
        pairs.class_set,
        pairs.attack_text,
        pairs.target_class,
        pairs.placement,
        pairs.example_id as pair_id,
        pairs.is_open,
        pairs.is_flip,
        pairs.example_id,
        (pairs.clean_example_id is not null)::integer as clean_sign,
        (pairs.blank_example_id is not null)::integer as blank_sign,
    from pairs

    union all

    select
        pairs.dataset,
        pairs.run_id,
        pairs.class_set,
        pairs.attack_text,
        pairs.target_class,
        pairs.placement,
        pairs.example_id as pair_id,
        pairs.is_open,
        pairs.is_flip,
        pairs.clean_example_id as example_id,
        -1 as clean_sign,
        0 as blank_sign,
    from pairs
    where pairs.clean_example_id is not null

    union all

    select
        pairs.dataset,
        pairs.run_id,
        pairs.class_set,
        pairs.attack_text,
        pairs.target_class,
        pairs.placement,
        pairs.example_id as pair_id,
        pairs.is_open,
        pairs.is_flip,
        pairs.blank_example_id as example_id,
        0 as clean_sign,
        -1 as blank_sign,
    from pairs
    where pairs.blank_example_id is not null
),

changes as (
    select
        parts.dataset,
        parts.run_id,
        parts.class_set,
        parts.attack_text,
        parts.target_class,
        parts.placement,
        stg_activations.layer,
        stg_activations.unit,
        parts.pair_id,
        any_value(parts.is_open) as is_open,
        any_value(parts.is_flip) as is_flip,
        sum(parts.clean_sign * stg_activations.activation::double) as clean_change,
        sum(parts.blank_sign * stg_activations.activation::double) as blank_change,
    from parts
    inner join stg_activations
        on
            parts.dataset = stg_activations.dataset
            and parts.run_id = stg_activations.run_id
            and parts.example_id = stg_activations.example_id
    group by
        parts.dataset,
        parts.run_id,
        parts.class_set,
        parts.attack_text,
        parts.target_class,
        parts.placement,
        stg_activations.layer,
        stg_activations.unit,
        parts.pair_id
),

means as (
    select
        changes.dataset,
        changes.run_id,
        changes.class_set,
        changes.attack_text,
        changes.target_class,
        changes.placement,
        changes.layer,
        changes.unit,
        sum(changes.clean_change) as clean_sum,
        sum(changes.blank_change) as blank_sum,
    from changes
    group by all
),

-- Only changes that are not zero are ranked; the zeros, most of them never stored, form
-- one tie between the negative and the positive ones.
ranked as (
    select
        changes.dataset,
        changes.run_id,
        changes.class_set,
        changes.attack_text,
        changes.target_class,
        changes.placement,
        changes.layer,
        changes.unit,
        changes.is_flip,
        changes.clean_change > 0 as is_rise,
        rank() over (
            partition by
                changes.dataset,
                changes.run_id,
                changes.class_set,
                changes.attack_text,
                changes.target_class,
                changes.placement,
                changes.layer,
                changes.unit
            order by changes.clean_change
        )
        + (
            count(*) over (
                partition by
                    changes.dataset,
                    changes.run_id,
                    changes.class_set,
                    changes.attack_text,
                    changes.target_class,
                    changes.placement,
                    changes.layer,
                    changes.unit,
                    changes.clean_change
            )
            - 1
        ) / 2 as mid_rank,
    from changes
    where changes.is_open and changes.clean_change <> 0
),

rank_sums as (
    select
        ranked.dataset,
        ranked.run_id,
        ranked.class_set,
        ranked.attack_text,
        ranked.target_class,
        ranked.placement,
        ranked.layer,
        ranked.unit,
        count(*) as change_count,
        count(*) filter (where not ranked.is_rise) as fall_count,
        count(*) filter (where ranked.is_flip) as flip_change_count,
        count(*) filter (where ranked.is_flip and ranked.is_rise) as flip_rise_count,
        sum(ranked.mid_rank) filter (where ranked.is_flip) as flip_rank_sum,
    from ranked
    group by all
),

per_neuron as (
    select
        groups.dataset,
        groups.model_id,
        groups.run_id,
        groups.class_set,
        groups.attack_text,
        groups.target_class,
        groups.placement,
        neuron_stats.layer,
        neuron_stats.unit,
        neuron_stats.sd,
        groups.clean_count,
        coalesce(means.clean_sum, 0) / nullif(groups.clean_count, 0) as clean_change,
        groups.blank_count,
        coalesce(means.blank_sum, 0) / nullif(groups.blank_count, 0) as blank_change,
        groups.flip_count,
        groups.stay_count,
        coalesce(rank_sums.fall_count, 0) as fall_count,
        coalesce(rank_sums.flip_change_count, 0) as flip_change_count,
        coalesce(rank_sums.flip_rise_count, 0) as flip_rise_count,
        coalesce(rank_sums.flip_rank_sum, 0) as flip_rank_sum,
        groups.flip_count
        + groups.stay_count
        - coalesce(rank_sums.change_count, 0) as zero_count,
    from groups
    inner join neuron_stats
        on
            groups.dataset = neuron_stats.dataset
            and groups.run_id = neuron_stats.run_id
    left join means
        on
            groups.dataset = means.dataset
            and groups.run_id = means.run_id
            and groups.class_set = means.class_set
            and groups.attack_text = means.attack_text
            and groups.target_class = means.target_class
            and groups.placement = means.placement
            and neuron_stats.layer = means.layer
            and neuron_stats.unit = means.unit
    left join rank_sums
        on
            groups.dataset = rank_sums.dataset
            and groups.run_id = rank_sums.run_id
            and groups.class_set = rank_sums.class_set
            and groups.attack_text = rank_sums.attack_text
            and groups.target_class = rank_sums.target_class
            and groups.placement = rank_sums.placement
            and neuron_stats.layer = rank_sums.layer
            and neuron_stats.unit = rank_sums.unit
),

scored as (
    select
        per_neuron.dataset,
        per_neuron.model_id,
        per_neuron.run_id,
        per_neuron.class_set,
        per_neuron.attack_text,
        per_neuron.target_class,
        per_neuron.placement,
        per_neuron.layer,
        per_neuron.unit,
        per_neuron.clean_count,
        per_neuron.clean_change,
        per_neuron.clean_change / nullif(per_neuron.sd, 0) as clean_change_sd,
        per_neuron.blank_count,
        per_neuron.blank_change,
        per_neuron.blank_change / nullif(per_neuron.sd, 0) as blank_change_sd,
        per_neuron.flip_count,
        per_neuron.stay_count,
        (
            per_neuron.flip_rank_sum
            + per_neuron.flip_rise_count * per_neuron.zero_count
            + (per_neuron.flip_count - per_neuron.flip_change_count)
            * (per_neuron.fall_count + (per_neuron.zero_count + 1) / 2)
            - per_neuron.flip_count * (per_neuron.flip_count + 1) / 2
        )
        / nullif(
            per_neuron.flip_count::double * per_neuron.stay_count, 0
        ) as flip_auroc,
    from per_neuron
)

select
    scored.dataset,
    scored.model_id,
    scored.run_id,
    scored.class_set,
    scored.attack_text,
    scored.target_class,
    scored.placement,
    scored.layer,
    scored.unit,
    scored.clean_count,
    scored.clean_change,
    scored.clean_change_sd,
    case when scored.clean_change_sd is not null then row_number() over (
        partition by
            scored.dataset,
            scored.run_id,
            scored.class_set,
            scored.attack_text,
            scored.target_class,
            scored.placement
        order by scored.clean_change_sd desc nulls last, scored.layer, scored.unit
    ) end as clean_change_rank,
    scored.blank_count,
    scored.blank_change,
    scored.blank_change_sd,
    case when scored.blank_change_sd is not null then row_number() over (
        partition by
            scored.dataset,
            scored.run_id,
            scored.class_set,
            scored.attack_text,
            scored.target_class,
            scored.placement
        order by scored.blank_change_sd desc nulls last, scored.layer, scored.unit
    ) end as blank_change_rank,
    scored.flip_count,
    scored.stay_count,
    scored.flip_auroc,
from scored;
