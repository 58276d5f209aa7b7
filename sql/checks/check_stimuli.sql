-- view:    check_stimuli
-- grain:   one row per thing that is wrong with a stimulus or with a group of versions
-- key:     what, dataset, base_key, attack_text, placement
-- reads:   stg_stimuli
-- purpose: Typographic attacks without their controls, shares that are none, and
--          coverage that a version should not have.
--
-- An attack must stand beside the same patch blank and, if it is known what the image
-- shows, with the right word (same base_key and placement; attack_text the same, or
-- null in a control that serves all texts), and beside a clean image, when its group
-- has any control at all: published sets, whose file names alone are known, have none.
--
-- column       type     unit   meaning
-- what         varchar         what is wrong
-- dataset      varchar         name of the dataset
-- base_key     varchar         the group, or null
-- attack_text  varchar         text of the attack, or null
-- placement    varchar         where the patch is, or null
-- row_count    bigint   count  stimuli that it is wrong with
with

typographic as (
    select
        stg_stimuli.dataset,
        stg_stimuli.base_key,
        stg_stimuli.attack_text,
        stg_stimuli.placement,
        stg_stimuli.control,
        stg_stimuli.covered_frac,
        stg_stimuli.concept,
        bool_or(
            stg_stimuli.control = 'blank' and stg_stimuli.attack_text is null
        ) over (
            partition by
                stg_stimuli.dataset, stg_stimuli.base_key, stg_stimuli.placement
        ) as shares_blank,
        bool_or(
            stg_stimuli.control = 'right_word' and stg_stimuli.attack_text is null
        ) over (
            partition by
                stg_stimuli.dataset, stg_stimuli.base_key, stg_stimuli.placement
        ) as shares_right_word,
        max(stg_stimuli.control = 'clean')
            over (partition by stg_stimuli.dataset, stg_stimuli.base_key) as has_clean,
        count(distinct stg_stimuli.control)
            over (partition by stg_stimuli.dataset, stg_stimuli.base_key) as kind_count,
    from stg_stimuli
    where stg_stimuli.stimulus = 'typographic'
),

patches as (
    select
        typographic.dataset,
        typographic.base_key,
        typographic.attack_text,
        typographic.placement,
        count(*) filter (where typographic.control = 'attack') as attack_count,
        bool_or(typographic.control = 'blank' or typographic.shares_blank) as has_blank,
        bool_or(
            typographic.control = 'right_word'
            or typographic.shares_right_word
            or typographic.concept is null
        ) as has_right_word,
        bool_or(typographic.has_clean) as has_clean,
        max(typographic.covered_frac) > min(typographic.covered_frac) as is_uneven,
    from typographic
    where typographic.control <> 'clean' and typographic.kind_count > 1
    group by all
),

found as (
    select
        'attack without a clean image' as what,
        patches.dataset,
        patches.base_key,
        patches.attack_text,
        patches.placement,
        patches.attack_count as row_count,
    from patches
    where patches.attack_count > 0 and not patches.has_clean

    union all

    select
        'attack without a blank patch' as what,
        patches.dataset,
        patches.base_key,
        patches.attack_text,
        patches.placement,
        patches.attack_count as row_count,
    from patches
    where patches.attack_count > 0 and not patches.has_blank

    union all

    select
        'attack without the right word' as what,
        patches.dataset,
        patches.base_key,
        patches.attack_text,
        patches.placement,
        patches.attack_count as row_count,
    from patches
    where patches.attack_count > 0 and not patches.has_right_word

    union all

    select
        'an attack and its controls cover different shares' as what,
        patches.dataset,
        patches.base_key,
        patches.attack_text,
        patches.placement,
        patches.attack_count as row_count,
    from patches
    where patches.is_uneven

    union all

    select
        'covered_frac outside 0..1' as what,
        stg_stimuli.dataset,
        stg_stimuli.base_key,
        stg_stimuli.attack_text,
        stg_stimuli.placement,
        count(*) as row_count,
    from stg_stimuli
    where not stg_stimuli.covered_frac between 0 and 1
    group by all

    union all

    select
        'a clean image that is covered' as what,
        stg_stimuli.dataset,
        stg_stimuli.base_key,
        stg_stimuli.attack_text,
        stg_stimuli.placement,
        count(*) as row_count,
    from stg_stimuli
    where stg_stimuli.control = 'clean' and stg_stimuli.covered_frac > 0
    group by all
)

select
    found.what,
    found.dataset,
    found.base_key,
    found.attack_text,
    found.placement,
    found.row_count,
from found;
