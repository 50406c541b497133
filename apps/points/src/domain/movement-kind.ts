/** What moved points, or recorded that they did not move. */
export type MovementKind = 'earned' | 'reversed' | 'written-off';
