package openapi

// shape says what is read of a node of a document: a scalar where nothing is
// set, otherwise a list, a mapping with any keys, or one with some fields.
// Everything else in a document is cut off before it is looked at.
type shape struct {
	list   *shape
	named  *shape
	fields map[string]*shape
	ref    bool // may be a $ref
	loose  bool // a $ref that leads nowhere, or out of the document, is passed over
	strict bool // null isn't the same as nothing
}

var (
	scalar = new(shape)
	texts  = &shape{list: scalar}

	// An empty list of security requirements opens an operation to everyone, so
	// what is no list at all must not pass for one.
	securityShape = &shape{strict: true, list: &shape{strict: true, named: &shape{strict: true, list: &shape{strict: true}}}}
	serversShape  = &shape{list: &shape{fields: map[string]*shape{
		"url":       scalar,
		"variables": {named: &shape{fields: map[string]*shape{"default": scalar, "enum": texts}}},
	}}}
	// OpenAPI has no $ref in place of an operation, but tools that split documents do.
	// What it refers to mustn't be passed over: there may be security.
	operationShape = &shape{ref: true, fields: map[string]*shape{
		"operationId": scalar, "summary": scalar, "tags": texts, "security": securityShape, "servers": serversShape,
	}}
	pathShape = &shape{ref: true, fields: map[string]*shape{
		"get": operationShape, "put": operationShape, "post": operationShape, "delete": operationShape, "options": operationShape,
		"head": operationShape, "patch": operationShape, "trace": operationShape, "query": operationShape,
		"additionalOperations": {named: operationShape}, "servers": serversShape,
	}}
	documentShape = &shape{fields: map[string]*shape{
		"info":     {fields: map[string]*shape{"title": scalar, "version": scalar}},
		"servers":  serversShape,
		"security": securityShape,
		"paths":    {named: pathShape, ref: true}, // the same tools know one here
		"components": {fields: map[string]*shape{
			// Of a scheme that isn't beside the document, only the name is known.
			"securitySchemes": {named: &shape{ref: true, loose: true, fields: map[string]*shape{
				"type": scalar, "in": scalar, "name": scalar, "scheme": scalar,
			}}},
		}},
	}}
)
