// Renders an Ollama TEMPLATE as Ollama does: one JSON request a line on standard input, one JSON answer a line.
package main

import (
	"bufio"
	"encoding/json"
	"os"
	"strings"
	"text/template"
)

type message struct {
	Role     string `json:"role"`
	Content  string `json:"content"`
	Thinking string `json:"thinking"`
}

type request struct {
	Template   string     `json:"template"`
	Messages   []*message `json:"messages"`
	Think      bool       `json:"think"`
	IsThinkSet bool       `json:"is_think_set"`
}

type answer struct {
	Text  string `json:"text"`
	Error string `json:"error"`
}

// collate gathers the system messages and merges neighbours of one role, as Ollama does before it renders.
func collate(all []*message) (string, []*message) {
	var system []string
	var merged []*message
	for _, one := range all {
		if one.Role == "system" {
			system = append(system, one.Content)
		}
		if n := len(merged); n > 0 && merged[n-1].Role == one.Role && one.Role != "tool" {
			merged[n-1].Content += "\n\n" + one.Content
		} else {
			merged = append(merged, one)
		}
	}
	return strings.Join(system, "\n\n"), merged
}

func render(asked request) (string, error) {
	functions := template.FuncMap{"json": func(v any) string { text, _ := json.Marshal(v); return string(text) }}
	parsed, err := template.New("").Option("missingkey=zero").Funcs(functions).Parse(asked.Template)
	if err != nil {
		return "", err
	}
	system, merged := collate(asked.Messages)
	var text strings.Builder
	err = parsed.Execute(&text, map[string]any{
		"System": system, "Messages": merged, "Tools": nil, "Response": "",
		"Think": asked.Think, "IsThinkSet": asked.IsThinkSet,
	})
	return text.String(), err
}

func main() {
	lines := bufio.NewReader(os.Stdin)
	written := json.NewEncoder(os.Stdout)
	for {
		line, err := lines.ReadBytes('\n')
		if len(line) > 0 {
			var asked request
			var made answer
			failed := json.Unmarshal(line, &asked)
			if failed == nil {
				made.Text, failed = render(asked)
			}
			if failed != nil {
				made.Error = failed.Error()
			}
			if written.Encode(made) != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}
