// Package wire is what Ollama's HTTP interface says, as JSON and as Go. It knows nothing of the host, so that its tests run
// natively.
package wire

import "encoding/json"

// Message is one turn of a conversation.
type Message struct {
	Role      string     `json:"role"`
	Content   string     `json:"content"`
	Thinking  string     `json:"thinking,omitempty"`
	Images    [][]byte   `json:"images,omitempty"` // base64 in JSON
	ToolCalls []ToolCall `json:"tool_calls,omitempty"`
	ToolName  string     `json:"tool_name,omitempty"`
}

// ToolCall is a call that the model wants.
type ToolCall struct {
	Function struct {
		Name      string          `json:"name"`
		Arguments json.RawMessage `json:"arguments"`
	} `json:"function"`
}

// Tool is a function that the model may ask for.
type Tool struct {
	Type     string   `json:"type"`
	Function Function `json:"function"`
}

// Function is a tool's name and schema.
type Function struct {
	Name        string          `json:"name"`
	Description string          `json:"description,omitempty"`
	Parameters  json.RawMessage `json:"parameters"`
}

// Chat is the body of /api/chat and of /api/generate.
type Chat struct {
	Model     string          `json:"model"`
	Messages  []Message       `json:"messages,omitempty"`
	Prompt    string          `json:"prompt,omitempty"`
	Raw       bool            `json:"raw,omitempty"`
	Tools     []Tool          `json:"tools,omitempty"`
	Format    json.RawMessage `json:"format,omitempty"`
	Think     any             `json:"think,omitempty"`
	Options   map[string]any  `json:"options,omitempty"`
	KeepAlive json.RawMessage `json:"keep_alive,omitempty"`
	Stream    bool            `json:"stream"`
}

// Embed is the body of /api/embed. Nothing is cut in silence: a text that is too long is an error.
type Embed struct {
	Model      string          `json:"model"`
	Input      []string        `json:"input"`
	Truncate   bool            `json:"truncate"`
	Dimensions *uint32         `json:"dimensions,omitempty"`
	KeepAlive  json.RawMessage `json:"keep_alive,omitempty"`
}

// Embedded is its answer.
type Embedded struct {
	Embeddings      [][]float32 `json:"embeddings"`
	PromptEvalCount uint64      `json:"prompt_eval_count"`
}

// Tags is the answer of /api/tags.
type Tags struct {
	Models []struct {
		Name    string `json:"name"`
		Details struct {
			Family string `json:"family"`
		} `json:"details"`
	} `json:"models"`
}
