package app

import (
	"reflect"
	"slices"
	"text/template/parse"
)

// constantFuncs answer the same for the same names as long as the process runs.
var constantFuncs = []string{"asset", "glyph", "icon"}

// foldConstants puts the answers of constantFuncs in place of their calls with a name that stands in
// the template: what every request would have asked for again becomes text of the template. It must run
// before the template does for the first time.
func foldConstants(list *parse.ListNode, funcs map[string]any) {
	if list == nil {
		return
	}
	for i, node := range list.Nodes {
		switch node := node.(type) {
		case *parse.ActionNode:
			if text, ok := constantOf(node.Pipe, funcs); ok {
				list.Nodes[i] = &parse.TextNode{NodeType: parse.NodeText, Pos: node.Pos, Text: []byte(text)}
			}
		case *parse.IfNode:
			foldConstants(node.List, funcs)
			foldConstants(node.ElseList, funcs)
		case *parse.WithNode:
			foldConstants(node.List, funcs)
			foldConstants(node.ElseList, funcs)
		case *parse.RangeNode:
			foldConstants(node.List, funcs)
			foldConstants(node.ElseList, funcs)
		}
	}
}

// constantOf is what a pipeline says that is nothing but `icon "trash-2"` or the like.
func constantOf(pipe *parse.PipeNode, funcs map[string]any) (text string, ok bool) {
	if len(pipe.Decl) > 0 || len(pipe.Cmds) != 1 || len(pipe.Cmds[0].Args) != 2 {
		return "", false
	}
	function, isFunction := pipe.Cmds[0].Args[0].(*parse.IdentifierNode)
	name, isText := pipe.Cmds[0].Args[1].(*parse.StringNode)
	if !isFunction || !isText || !slices.Contains(constantFuncs, function.Ident) {
		return "", false
	}
	answer := reflect.ValueOf(funcs[function.Ident]).Call([]reflect.Value{reflect.ValueOf(name.Text)})
	return answer[0].String(), true
}
