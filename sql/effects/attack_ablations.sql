-- view:    attack_ablations
-- grain:   one row per run, layer, class set, attack and number of neurons
-- key:     dataset, run_id, layer, class_set, attack_text, target_class, placement,
--          neuron_count
-- reads:   raw_ablations, stg_runs
-- purpose: Whether flips go back without the neurons that an attack moves most.
-- cite:    Goh et al. 2021, doi:10.23915/distill.00030; intervals by Wilson 1927
--
-- The neurons whose activation rises most in SD, against the same patch left blank (or
-- no patch, where there is no blank one), are set to 0 at once, and all that follows
-- the layer runs again. They are chosen on one half of the attacked images and tried on
-- the other, by a hash of the image without a patch. An image goes back if it is taken
-- for what it was without the attack; a flip that is none when the image runs again
-- (the run rounds embeddings to float16) is not counted but in unsteady_count. Beside
-- it as many neurons of the layer, drawn at random, several times; shares of these are
-- over all draws. What it costs is told by images of the same half that have no patch.
-- _low and _high are Wilson's 95 % interval.
--
-- column                     type       unit       meaning
-- dataset, model_id, run_id, layer, class_set
-- attack_text                varchar               what is written on the images
-- target_class, placement, neuron_count
-- units                      integer[]  index 0..  which, first what rises more
-- chosen_count               integer    count      attacked images they are chosen by
-- flip_count                 bigint     count      flipped images that were tried
-- unsteady_count             bigint     count      others, not flipped when run again
-- back_count                 bigint     count      flips that go back
-- back_frac                  double     0..1       share of them
-- back_low                   double     0..1       lower end
-- back_high                  double     0..1       upper end
-- away_frac                  double     0..1       share taken for a third class
-- draw_count                 bigint     count      random draws of as many neurons
-- random_back_frac           double     0..1       share that goes back without those
-- random_back_max            double     0..1       the same of the best draw
-- clean_count                bigint     count      images without a patch
-- clean_changed_frac         double     0..1       share whose class changes
-- clean_changed_low          double     0..1       lower end
-- clean_changed_high         double     0..1       upper end
-- random_clean_changed_frac  double     0..1       the same without random neurons
with

tried as (
    select
        *,
        is_attacked and plain_class = target_class as is_flip,
        is_attacked and plain_class <> target_class as is_unsteady,
        predicted_class = wanted_class as is_back,
        predicted_class not in (wanted_class, target_class) as is_away,
        predicted_class <> plain_class as is_changed,
    from raw_ablations
),

draws as (
    select
        dataset, run_id, layer, class_set, attack_text, target_class, placement,
        neuron_count, draw, units, chosen_count,
        count(*) filter (where is_flip) as flip_count,
        count(*) filter (where is_unsteady) as unsteady_count,
        count(*) filter (where is_flip and is_back) as back_count,
        count(*) filter (where is_flip and is_away) as away_count,
        count(*) filter (where not is_attacked) as clean_count,
        count(*) filter (where not is_attacked and is_changed) as changed_count,
    from tried
    group by all
),

random_draws as (
    select
        dataset, run_id, layer, class_set, attack_text, target_class, placement,
        neuron_count,
        count(*) as draw_count,
        sum(back_count) / nullif(sum(flip_count), 0) as random_back_frac,
        max(back_count / nullif(flip_count, 0)) as random_back_max,
        sum(changed_count) / nullif(sum(clean_count), 0) as random_clean_changed_frac,
    from draws
    where draw > 0
    group by all
)

select
    dataset, model_id, run_id, layer, class_set, attack_text, target_class, placement,
    neuron_count,
    string_split(units, ',')::integer[] as units,
    chosen_count, flip_count, unsteady_count, back_count,
    back_count / nullif(flip_count, 0) as back_frac,
    wilson_low(back_count, flip_count) as back_low,
    wilson_high(back_count, flip_count) as back_high,
    away_count / nullif(flip_count, 0) as away_frac,
    draw_count, random_back_frac, random_back_max, clean_count,
    changed_count / nullif(clean_count, 0) as clean_changed_frac,
    wilson_low(changed_count, clean_count) as clean_changed_low,
    wilson_high(changed_count, clean_count) as clean_changed_high,
    random_clean_changed_frac,
from draws
inner join random_draws
    using (
        dataset, run_id, layer, class_set, attack_text, target_class, placement,
        neuron_count
    )
inner join stg_runs using (dataset, run_id)
where draw = 0;
