-- view:    effect_levels
-- grain:   one row per neuron that was measured and level
-- key:     dataset, run_id, layer, unit, level
-- reads:   raw_effects, stg_runs
-- purpose: What setting a neuron to a level does to its concept, on held-out examples.
-- cite:    Goh et al. 2021, doi:10.23915/distill.00030; FADE, arXiv:2502.16994
--
-- P is the softmax over all tested concepts' prompts at the model's own scale, averaged
-- over examples. Hidden examples do not show the neuron's concept and are not among its
-- label_top_k strongest, from which its label was chosen and on which it was tested.
-- Shown examples show it and are of the testing half; those among its strongest are
-- taken only where there are too few others. The random direction is one among the
-- units of the layer; what it changes has the same norm at every position of every
-- example as what setting the neuron changes there. Of neurons without a label all that
-- is about a concept is null.
--
-- column                  type     unit         meaning
-- dataset, model_id, run_id, layer, unit
-- level                   float    x maximum    what it is set to; 0 ablates
-- activation
-- concept                 varchar               its label when it was measured, or null
-- other_concept           varchar               another tested concept, at random
-- concept_count, hidden_count, shown_count
-- held_out_count          integer  count        of these, not among its strongest
-- hidden_plain            float    0..1         P(concept), hidden, as it is
-- hidden_set, hidden_direction
-- hidden_other_plain      float    0..1         P(other concept), hidden, as it is
-- hidden_other_set
-- shown_plain             float    0..1         P(concept), shown, as it is
-- shown_set, shown_direction
-- shown_other_plain       float    0..1         P(other concept), shown, as it is
-- shown_other_set
-- shown_cosine_change     float    -2..2        of the concept, shown, neuron set
-- shown_cosine_direction
select
    dataset, model_id, run_id, layer, unit, level, activation, concept, other_concept,
    concept_count, hidden_count, shown_count, held_out_count, hidden_plain, hidden_set,
    hidden_direction, hidden_other_plain, hidden_other_set, shown_plain, shown_set,
    shown_direction, shown_other_plain, shown_other_set, shown_cosine_change,
    shown_cosine_direction,
from raw_effects
inner join stg_runs using (dataset, run_id);
