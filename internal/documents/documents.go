// Package documents tests that what the documents say is so: the schema, the paths and the tests they name.
package documents

// root is the repository, from here.
const root = "../../"
