export const text = {
  countWords(text) {
    const words = text.split(/\s+/).filter((word) => word);
    const longest = words.reduce((a, b) => (b.length > (a ?? '').length ? b : a), undefined);
    return { words: words.length, longest };
  },
  shout(text, ref) {
    if (!text) throw 'nothing to shout';
    return text.toUpperCase() + (ref ? '!' : '');
  },
};
