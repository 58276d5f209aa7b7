-- view:    word_embeddings
-- grain:   one row per word that was drawn as an image and shown to a run's model
-- key:     dataset, run_id, word
-- reads:   raw_word_embeddings, stg_runs
-- purpose: Words through the eye: the image embedding of each word drawn as an image.
-- cite:    Goh et al. 2021, doi:10.23915/distill.00030, "image-based word embedding"
--
-- All words are black on white in one font, which is most of what any two embeddings
-- have in common; centred_embedding is without it. Cosines are list_inner_product of
-- either. What is close may mean the same, or look the same.
--
-- column             type     unit       meaning
-- dataset, model_id, run_id, word, category, embedding, centred_embedding
select
    dataset, model_id, run_id, word, category, embedding, centred_embedding,
from raw_word_embeddings
inner join stg_runs using (dataset, run_id);
