/**
 * The part of JSON Schema 2020-12 that our contracts use, and the TypeScript type that such a schema describes.
 * One source for both: schemas are `as const` objects, types are inferred from them. The keywords are few and the inference is
 * forty lines, which is less to carry than a package that infers everything.
 */
export type JsonSchema = {
  readonly $schema?: string;
  readonly $id?: string;
  readonly $ref?: string;
  readonly title?: string;
  readonly description?: string;
  readonly default?: unknown;
  readonly examples?: readonly unknown[];
  readonly type?: JsonType | readonly JsonType[];
  readonly const?: unknown;
  readonly enum?: readonly unknown[];
  readonly format?: string;
  readonly pattern?: string;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly exclusiveMaximum?: number;
  readonly items?: JsonSchema;
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly properties?: { readonly [name: string]: JsonSchema | boolean };
  readonly required?: readonly string[];
  readonly additionalProperties?: JsonSchema | boolean;
  readonly propertyNames?: JsonSchema;
  readonly minProperties?: number;
  readonly maxProperties?: number;
  readonly oneOf?: readonly JsonSchema[];
  readonly if?: JsonSchema;
  readonly then?: JsonSchema;
  readonly else?: JsonSchema;
};

export type JsonType = 'string' | 'integer' | 'number' | 'boolean' | 'null' | 'array' | 'object';

/** The TypeScript type of the values that a schema admits (without what a type cannot say: lengths, ranges, conditions). */
export type Infer<S> = S extends { readonly const: infer C }
  ? C
  : S extends { readonly enum: readonly (infer E)[] }
    ? E
    : S extends { readonly type: readonly (infer T)[] }
      ? InferType<T, S>
      : S extends { readonly type: infer T }
        ? InferType<T, S>
        : unknown;

type InferType<T, S> = T extends 'string'
  ? string
  : T extends 'integer' | 'number'
    ? number
    : T extends 'boolean'
      ? boolean
      : T extends 'null'
        ? null
        : T extends 'array'
          ? InferArray<S>
          : T extends 'object'
            ? InferObject<S>
            : never;

type InferArray<S> = S extends { readonly items: infer I } ? readonly Infer<I>[] : readonly unknown[];

type InferObject<S> = S extends { readonly properties: infer P }
  ? Flat<
      { readonly [K in keyof P as K extends RequiredOf<S> ? K : never]: Infer<P[K]> } & {
        readonly [K in keyof P as K extends RequiredOf<S> ? never : K]?: Infer<P[K]>;
      }
    >
  : S extends { readonly additionalProperties: infer A }
    ? { readonly [name: string]: Infer<A> }
    : { readonly [name: string]: unknown };

type RequiredOf<S> = S extends { readonly required: readonly (infer R)[] } ? R : never;

type Flat<T> = { [K in keyof T]: T[K] };
