/** Types of the SDK. What crosses to the host has the WIT's names in camel case; `null` stands for an absent option. */

export type Kind =
  | "invalid-request"
  | "unauthenticated"
  | "denied"
  | "not-found"
  | "conflict"
  | "too-large"
  | "context-exceeded"
  | "content-blocked"
  | "unsupported"
  | "rate-limited"
  | "quota-exceeded"
  | "overloaded"
  | "unavailable"
  | "timeout"
  | "cancelled"
  | "misconfigured"
  | "internal";

export interface More {
  param?: string;
  code?: string;
  logDetail?: string;
  /** Seconds. */
  retryAfter?: number;
  upstreamStatus?: number;
}

export class Problem extends Error {
  readonly kind: Kind;
  readonly param?: string;
  readonly code?: string;
  readonly logDetail?: string;
  readonly retryAfterMs?: number;
  readonly upstreamStatus?: number;
  constructor(kind: Kind, message: string, more?: More);
  static invalidRequest(message: string, more?: More): Problem;
  static unsupported(message: string, more?: More): Problem;
  static notFound(message: string, more?: More): Problem;
  static tooLarge(message: string, more?: More): Problem;
  static rateLimited(message: string, more?: More): Problem;
  static contentBlocked(message: string, more?: More): Problem;
  static unavailable(message: string, more?: More): Problem;
  static misconfigured(message: string, more?: More): Problem;
  static internal(message: string, more?: More): Problem;
}

export interface Variant<Value = unknown> {
  tag: string;
  val?: Value;
}

export type Extra = [name: string, json: string][];

// Evaluators.

export interface Score {
  name?: string;
  value?: number;
  label?: string;
  explanation?: string;
  extra?: Extra;
}

export interface Sample {
  id: string;
  output: string;
  references: string[];
  question: string | null;
  context: unknown[];
  messages: Message[];
  ranking: string[];
  relevant: [id: string, grade: number][];
  extra: Extra;
}

export interface Metric {
  name: string;
  description: string;
  lowest?: number;
  highest?: number;
  higherIsBetter?: boolean;
  needs?: ("references" | "question" | "context" | "messages" | "ranking" | "judge" | "embeddings")[];
  deterministic?: boolean;
  /** A JSON Schema, as text. */
  params?: string;
}

export type Outcome = { score: Score; error?: undefined } | { score?: undefined; error: unknown };

export class Run {
  readonly name: string;
  readonly spread: boolean;
  constructor(name: string, options?: { spread?: boolean });
  judge(sample: Sample): Score;
  push(samples: Sample[]): Outcome[];
  finish(): { scores: Score[]; extra: Extra };
}

export interface Evaluator {
  check?(): string[];
  metrics(): Metric[];
  start(metric: string, params: string): Run;
}

export function evaluatorPlugin(plugin: Evaluator): { lifecycle: object; evaluator: object };

// Providers.

export interface Part {
  body: Variant;
  extra: Extra;
}

export interface Message {
  role: Variant<string>;
  content: Part[];
  name: string | null;
  toolCallId: string | null;
  isError: boolean;
  extra: Extra;
}

export interface ChatRequest {
  model: string;
  input: Variant;
  sampling: Record<string, unknown>;
  tools: object[];
  toolChoice: Variant | null;
  parallelToolCalls: boolean | null;
  responseFormat: Variant;
  reasoningEffort: string | null;
  extra: Extra;
}

export interface Chunk {
  choice: number;
  event: Variant;
}

export interface Model {
  id: string;
  ownedBy?: string;
  created?: number;
  contextTokens?: number;
  maxOutputTokens?: number;
  capabilities?: string[];
  extra?: Extra;
}

export interface Provider {
  check?(): string[];
  models?(): Model[];
  complete?(request: ChatRequest): Iterable<Chunk>;
  embed?(request: object): object;
  rerank?(request: object): object[];
  countTokens?(request: ChatRequest): number;
}

export function providerPlugin(plugin: Provider): { lifecycle: object; provider: object };
export function text(words: string, choice?: number): Chunk;
export function finish(reason?: string, choice?: number): Chunk;
export function usage(inputTokens: number, outputTokens: number): Chunk;
export function messages(request: ChatRequest): { role: string; text: string }[];
/** `unsupported`, by the wire's name, for what a request asks for beyond `supported`. */
export function refuseBeyond(request: ChatRequest, supported?: string[]): void;

// Instrumentors.

export interface Filter {
  push(chunks: Chunk[]): Chunk[];
  finish(): Chunk[];
}

export interface Instrumentor {
  check?(): string[];
  before?(request: ChatRequest): Variant;
  filter?(request: ChatRequest): Filter;
  after?(exchange: object): { attributes?: [string, Variant][]; scores?: object[]; tags?: string[] };
  exportSpans?(batch: object[]): void;
  ingest?(format: string, payload: Uint8Array): object[];
}

export function instrumentorPlugin(plugin: Instrumentor): { lifecycle: object; instrumentor: object };

// Helpers.

export function parameters(text: string, known: string[], param?: string): Record<string, unknown>;
export function count(found: Record<string, unknown>, key: string, param?: string): number | undefined;
export function word(
  found: Record<string, unknown>,
  key: string,
  words: string[],
  otherwise: string,
  param?: string,
): string;
export class Tally {
  judged: number;
  failed: number;
  mean: number;
  add(value: number | null | undefined): void;
  deviation(): number;
}
export function events(lines: Iterable<string>, most?: number): Generator<{ event: string; data: string }>;
export function retryAfterMs(headers: [string, string][], nowUs: number | bigint): number | undefined;
