from clip_vectorizer.training.tokenizer import END, encode_token_ids, train_tokenizer


def test_the_end_token_has_the_highest_id_and_closes_every_text() -> None:
    tokenizer = train_tokenizer(["red circle", "红色圆"] * 10, vocabulary=300, context=8)
    ids = encode_token_ids(tokenizer, ["red", "红色圆 red circle red circle red circle"])
    end = tokenizer.token_to_id(END)
    assert end == tokenizer.get_vocab_size() - 1
    assert ids.shape[1] == 8
    assert (ids == end).sum(dim=1).tolist() == [1, 1]
    assert ids[1, -1] == end


def test_case_and_width_do_not_matter() -> None:
    tokenizer = train_tokenizer(["red circle"] * 10, vocabulary=300, context=8)
    plain, upper, wide = encode_token_ids(tokenizer, ["red", "RED", "\uff32\uff25\uff24"]).tolist()
    assert plain == upper == wide
