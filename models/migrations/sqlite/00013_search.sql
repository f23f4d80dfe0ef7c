-- +goose Up

-- One or two letters are found as the beginning of three, so the text ends with two line feeds. What is there
-- already is indexed anew.
DROP TRIGGER audit_entities_searchable;
INSERT INTO audit_entities_search (audit_entities_search) VALUES ('delete-all');
INSERT INTO audit_entities_search (rowid, text) SELECT id, id_key || char(10) || name_key || char(10) || char(10) FROM audit_entities;
-- +goose StatementBegin
CREATE TRIGGER audit_entities_searchable AFTER INSERT ON audit_entities BEGIN
    INSERT INTO audit_entities_search (rowid, text) VALUES (new.id, new.id_key || char(10) || new.name_key || char(10) || char(10));
END;
-- +goose StatementEnd

-- The terms of the index, one row each time one occurs.
CREATE VIRTUAL TABLE audit_entities_search_terms USING fts5vocab(audit_entities_search, instance);

-- +goose Down
DROP TABLE audit_entities_search_terms;
DROP TRIGGER audit_entities_searchable;
-- +goose StatementBegin
CREATE TRIGGER audit_entities_searchable AFTER INSERT ON audit_entities BEGIN
    INSERT INTO audit_entities_search (rowid, text) VALUES (new.id, new.id_key || char(10) || new.name_key);
END;
-- +goose StatementEnd
