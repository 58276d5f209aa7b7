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
-- column     type     unit   meaning
-- what       varchar         what is wrong
-- dataset, base_key, attack_text, placement
-- row_count  bigint   count  stimuli that it is wrong with
with

typographic as (
    select
        *,
        bool_or(control = 'blank' and attack_text is null) over one_patch
            as shares_blank,
        bool_or(control = 'right_word' and attack_text is null) over one_patch
            as shares_right_word,
        max(control = 'clean') over one_image as has_clean,
        count(distinct control) over one_image as kind_count,
    from stg_stimuli
    where stimulus = 'typographic'
    window
        one_image as (partition by dataset, base_key),
        one_patch as (partition by dataset, base_key, placement)
),

patches as (
    select
        dataset, base_key, attack_text, placement,
        count(*) filter (where control = 'attack') as attack_count,
        bool_or(control = 'blank' or shares_blank) as has_blank,
        bool_or(control = 'right_word' or shares_right_word or concept is null)
            as has_right_word,
        bool_or(typographic.has_clean) as has_clean,
        max(covered_frac) > min(covered_frac) as is_uneven,
    from typographic
    where control <> 'clean' and kind_count > 1
    group by all
),

problems as (
    select
        *,
        unnest([
            if(
                attack_count > 0 and not has_clean, 'attack without a clean image', null
            ),
            if(
                attack_count > 0 and not has_blank, 'attack without a blank patch', null
            ),
            if(
                attack_count > 0 and not has_right_word,
                'attack without the right word',
                null
            ),
            if(is_uneven, 'an attack and its controls cover different shares', null)
        ]) as what,
    from patches
)

select
    what, dataset, base_key, attack_text, placement, attack_count as row_count,
from problems
where what is not null
union all
select
    'covered_frac outside 0..1' as what,
    dataset, base_key, attack_text, placement,
    count(*) as row_count,
from stg_stimuli
where not covered_frac between 0 and 1
group by all
union all
select
    'a clean image that is covered' as what,
    dataset, base_key, attack_text, placement,
    count(*) as row_count,
from stg_stimuli
where control = 'clean' and covered_frac > 0
group by all;
