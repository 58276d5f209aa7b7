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
-- column        type     unit   meaning
-- dataset, example_id, shard_ordinal, shard
-- shard_key     varchar         WebDataset key of the sample
-- image_sha256  varchar  hex    hash of the image file
-- width_px      integer  px     width in the header
-- height_px     integer  px     height in the header
-- mime_type     varchar         type found in the bytes
-- image_offset
-- image_bytes   bigint   bytes  length of the image file
-- source_url    varchar         where the image came from
-- is_turned     boolean         EXIF turns it: upright, width and height change places
-- duplicate_of, copy_kind, half
select
    dataset, example_id, shard_ordinal, shard, shard_key, image_sha256, width_px,
    height_px, mime_type, image_offset, image_bytes, source_url, is_turned,
    duplicate_of, copy_kind, half,
from stg_examples;
