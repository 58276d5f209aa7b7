-- What labels are decided by. Run before the views; not views themselves.
--
-- is_circular(tower, origin): the concept of an image is told by the very text that the
-- tower read of it. A text tower sees nothing but an image's primary text; texts name
-- concepts, and those of a stimulus say what it shows. So a neuron of it that answers
-- to a word goes with that concept by construction. The model's own similarity and
-- people judge the image, which a text tower never saw: that is not circular.
create or replace macro is_circular(tower, origin) as
    coalesce(tower = 'text' and origin in ('texts', 'stimulus'), false);

-- is_thin(positives, others): an AUROC that so few images decide that one more or less
-- would change it much. Three is the default of facet_min_count; where that is set
-- lower, what is below three is tested, and said to be thin.
create or replace macro is_thin(positives, others) as least(positives, others) < 3;

-- decided_concept(concept, two_smallest): the concept that a method puts first, or null
-- if it did not choose: two_smallest are its own and the next one's figures, in nats,
-- smaller ones being better, and they differ by less than 0.001.
create or replace macro decided_concept(concept, two_smallest) as
    case
        when len(two_smallest) < 2 or two_smallest[2] - two_smallest[1] >= 1e-3
            then concept
    end;

-- image_half(image_sha256): the half that an image belongs to. Concepts are chosen on
-- the screening half and confirmed on the testing half (Quiroga et al. 2005); ranks are
-- stored within halves, so the split is fixed. The same image is always in the same
-- half, in every dataset.
create or replace macro image_half(image_sha256) as
    case when md5('0' || image_sha256) < '8' then 'screening' else 'testing' end;

-- is_supported(score, least, other, permuted): a score supports a label if it reaches
-- least and is above what another neuron's label and a permuted one score; a baseline
-- that is not known is not compared. Null: not measured.
create or replace macro is_supported(score, least, other, permuted) as
    case
        when score is not null
            then
                score >= least
                and coalesce(score > other, true)
                and coalesce(score > permuted, true)
    end;
