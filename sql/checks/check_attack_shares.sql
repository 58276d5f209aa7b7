-- view:    check_attack_shares
-- grain:   one row per attack that does not add up
-- key:     dataset, run_id, class_set, attack_text, target_class, placement
-- reads:   typographic_pairs, typographic_attacks
-- purpose: Attacks whose four shares do not sum to 1, or that count fewer images than
--          were attacked.
--
-- An attacked image has no outcome if it has neither a clean image nor a concept.
--
-- column          type    unit   meaning
-- dataset, run_id, class_set, attack_text, target_class, placement
-- attacked_count  bigint  count  attacked images that were classified
-- image_count     bigint  count  of these, in typographic_attacks
-- share_sum       double         sum of the four shares
with

attacked as (
    select
        dataset, run_id, class_set, attack_text, target_class, placement,
        count(*) as attacked_count,
    from typographic_pairs
    group by all
)

select
    dataset, run_id, class_set, attack_text, target_class, placement, attacked_count,
    coalesce(typographic_attacks.image_count, 0) as image_count,
    changed_frac + already_frac + changed_away_frac + unchanged_frac as share_sum,
from attacked
left join typographic_attacks
    using (dataset, run_id, class_set, attack_text, target_class, placement)
where
    coalesce(typographic_attacks.image_count, 0) <> attacked_count
    or not abs(share_sum - 1) <= 1e-9;
