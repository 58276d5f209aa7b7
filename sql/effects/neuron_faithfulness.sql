-- view:    neuron_faithfulness
-- grain:   one row per neuron that was measured
-- key:     dataset, run_id, layer, unit
-- reads:   effect_levels
-- purpose: How far driving a neuron gains its concept, and what ablating it loses.
-- cite:    Puri et al. 2025, FADE, arXiv:2502.16994 (faithfulness)
--
-- Faithfulness is FADE's: max(max_k p_k - p_0, 0) / (1 - p_0), where p_k is P(concept)
-- on hidden examples (see effect_levels) with the neuron at level k above 0, and p_0 at
-- level 0. The loss is P(concept) on examples that show it, as they are, less the same
-- with the neuron at level 0. Beside each stands the same for another tested concept,
-- drawn at random, and with a random direction of the same norm in place of the neuron.
--
-- column                  type     unit       meaning
-- dataset, model_id, run_id, layer, unit, concept, other_concept, concept_count,
-- hidden_count, shown_count, held_out_count
-- faithfulness            double   0..1       of the label, or null
-- other_faithfulness      double   0..1       of the other concept
-- direction_faithfulness  double   0..1       of the label, with the direction
-- loss                    double   -1..1      of the label, where it is shown; or null
-- other_loss              double   -1..1      of the other concept, there
-- direction_loss          double   -1..1      of the label, with the direction
with

neurons as (
    select
        dataset, model_id, run_id, layer, unit, concept, other_concept, concept_count,
        hidden_count, shown_count, held_out_count,
        any_value(hidden_set::double) filter (where level = 0) as p_0,
        max(hidden_set::double) filter (where level > 0) as p_k,
        any_value(hidden_other_set::double) filter (where level = 0) as other_p_0,
        max(hidden_other_set::double) filter (where level > 0) as other_p_k,
        any_value(hidden_direction::double) filter (where level = 0) as direction_p_0,
        max(hidden_direction::double) filter (where level > 0) as direction_p_k,
        any_value(shown_plain::double - shown_set) filter (where level = 0) as loss,
        any_value(shown_other_plain::double - shown_other_set) filter (where level = 0)
            as other_loss,
        any_value(shown_plain::double - shown_direction) filter (where level = 0)
            as direction_loss,
    from effect_levels
    group by all
)

select
    dataset, model_id, run_id, layer, unit, concept, other_concept, concept_count,
    hidden_count, shown_count, held_out_count,
    greatest(p_k - p_0, 0.0) / nullif(1.0 - p_0, 0.0) as faithfulness,
    greatest(other_p_k - other_p_0, 0.0) / nullif(1.0 - other_p_0, 0.0)
        as other_faithfulness,
    greatest(direction_p_k - direction_p_0, 0.0) / nullif(1.0 - direction_p_0, 0.0)
        as direction_faithfulness,
    loss, other_loss, direction_loss,
from neurons;
