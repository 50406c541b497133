/** The part of bidi-js that is used here: its own types are not where a module of ES looks for them. */
declare module 'bidi-js' {
  export type Levels = { readonly levels: Uint8Array };
  export type Bidi = {
    getEmbeddingLevels(text: string, direction?: 'ltr' | 'rtl' | 'auto'): Levels;
    getMirroredCharactersMap(text: string, levels: Uint8Array): Map<number, string>;
  };
  export default function bidiFactory(): Bidi;
}
