-- view:    check_attack_shares
-- grain:   one row per attack that does not add up
-- key:     dataset, run_id, class_set, attack_text, target_class, placement
-- reads:   typographic_pairs, typographic_attacks
-- purpose: Attacks whose four shares do not sum to 1, or that count fewer images than
--          were attacked.
--
-- An attacked image has no outcome if it has neither a clean image nor a concept.
--
-- column          type     unit   meaning
-- dataset         varchar         name of the dataset
-- run_id          varchar         the run
-- class_set       varchar         the class set
-- attack_text     varchar         what was written
-- target_class    varchar         the class of that text
-- placement       varchar         where it was written
-- attacked_count  bigint   count  attacked images that were classified
-- image_count     bigint   count  of these, in typographic_attacks
-- share_sum       double          sum of the four shares
with

attacked as (
    select
        typographic_pairs.dataset,
        typographic_pairs.run_id,
        typographic_pairs.class_set,
        typographic_pairs.attack_text,
        typographic_pairs.target_class,
        typographic_pairs.placement,
        count(*) as attacked_count,
    from typographic_pairs
    group by all
),

joined as (
    select
        attacked.dataset,
        attacked.run_id,
        attacked.class_set,
        attacked.attack_text,
        attacked.target_class,
        attacked.placement,
        attacked.attacked_count,
        coalesce(typographic_attacks.image_count, 0) as image_count,
        typographic_attacks.changed_frac
        + typographic_attacks.already_frac
        + typographic_attacks.changed_away_frac
        + typographic_attacks.unchanged_frac as share_sum,
    from attacked
    left join typographic_attacks
        on
            attacked.dataset = typographic_attacks.dataset
            and attacked.run_id = typographic_attacks.run_id
            and attacked.class_set = typographic_attacks.class_set
            and attacked.attack_text = typographic_attacks.attack_text
            and attacked.target_class = typographic_attacks.target_class
            and attacked.placement = typographic_attacks.placement
)

select
    joined.dataset,
    joined.run_id,
    joined.class_set,
    joined.attack_text,
    joined.target_class,
    joined.placement,
    joined.attacked_count,
    joined.image_count,
    joined.share_sum,
from joined
where
    joined.image_count <> joined.attacked_count
    or not abs(joined.share_sum - 1) <= 1e-9;
