import { defineConfig, setting, type ConfigOf, type Parser } from '@vafa/service';

/** Few enough digits that what is left to chance stays beyond guessing: 11 random digits at least. */
const cardPrefix: Parser<string> = {
  expected: '1 to 4 digits',
  parse: (value) => (/^[0-9]{1,4}$/.test(value) ? value : undefined),
};

export const membersConfig = defineConfig({
  cardPrefix: setting('VAFA_CARD_PREFIX', cardPrefix, {
    default: '97',
    description: 'the digits that the numbers of issued cards begin with',
  }),
});

export type MembersConfig = ConfigOf<typeof membersConfig>;
