-- view:    examples
-- grain:   one row per image of a dataset
-- key:     dataset, example_id
-- reads:   stg_examples
-- purpose: The images: where they lie, what they are, which half they belong to.
-- cite:    Quiroga et al. 2005, doi:10.1038/nature03687
--
-- Concepts are chosen on the screening half and confirmed on the testing half; an image
-- and its copies (image_groups) are in the same half, and an image that is no copy is
-- in the same half in every dataset.
--
-- column         type     unit         meaning
-- dataset        varchar               name of the dataset
-- example_id     bigint   id           shard_ordinal x 2^20 + position
-- shard_ordinal  integer  ordinal 0..  which shard of the dataset
-- shard          varchar               name of the tar
-- shard_key      varchar               WebDataset key of the sample
-- image_sha256   varchar  hex          hash of the image file
-- width_px       integer  px           width in the header
-- height_px      integer  px           height in the header
-- mime_type      varchar               type found in the bytes
-- image_offset   bigint   bytes        where the image begins in the tar
-- image_bytes    bigint   bytes        length of the image file
-- source_url     varchar               where the image came from
-- duplicate_of   bigint   id           first example with the same image, or null
-- copy_kind      varchar               identical, resized, grey, cropped; null if first
-- half           varchar               screening or testing, by a hash of the first
select
    dataset, example_id, shard_ordinal, shard, shard_key, image_sha256, width_px,
    height_px, mime_type, image_offset, image_bytes, source_url, duplicate_of,
    copy_kind, half,
from stg_examples;
