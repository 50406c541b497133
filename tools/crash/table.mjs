/** What the faults on Kafka came to, as a table for people and for the documentation. */
export function table(rows) {
  const seconds = (ms) => (ms === undefined ? '' : ms === Infinity ? 'did not' : `${(ms / 1_000).toFixed(1)} s`);
  return [
    '| fault | purchases flow again after | a plain kafkajs consumer beside it | purchases sent | calls sent again |',
    '| --- | ---: | ---: | ---: | ---: |',
    ...rows.map(
      ({ name, oursMs, plainMs, purchases, repeated }) =>
        `| ${name} | ${seconds(oursMs)} | ${seconds(plainMs)} | ${purchases} | ${repeated} |`,
    ),
  ];
}
